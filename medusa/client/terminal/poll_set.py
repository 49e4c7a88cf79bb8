"""A poll object for a loop in which each round waits for slightly different descriptors."""

from __future__ import annotations

import select
from collections.abc import Mapping


class PollSet:
    """A poll object that is used again and again. Each wait registers only the descriptors that have changed."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._wanted: Mapping[int, int] = {}
        self._events: dict[int, int] = {}

    def wait(self, wanted: Mapping[int, int], timeout: float | None = None) -> dict[int, int]:
        """Waits for events. Returns the events by descriptor, also errors and hang-ups, as flags of select.poll.

        Args:
            wanted: the events to wait for on each descriptor, as flags of select.poll. A descriptor with no events is
                left out, because poll would report its hang-up again and again.
            timeout: seconds to wait at most; None for no limit.
        """
        if wanted != self._wanted:
            self.watch(wanted)
        return self.ready(timeout)

    def watch(self, wanted: Mapping[int, int]) -> None:
        """Sets the events that `ready` waits for: descriptor -> events, as flags of select.poll."""
        self._wanted = dict(wanted)  # a copy: the caller may change its own before the next call
        now = {fd: events for fd, events in wanted.items() if events}
        for fd in self._events.keys() - now.keys():
            self._poll.unregister(fd)
        for fd, events in now.items():
            if self._events.get(fd) != events:
                self._poll.register(fd, events)
        self._events = now

    def ready(self, timeout: float | None = None) -> dict[int, int]:
        """Waits up to `timeout` seconds for the events that `watch` has set. Returns the events by descriptor."""
        return dict(self._poll.poll(None if timeout is None else timeout * 1000 if timeout > 0 else 0))

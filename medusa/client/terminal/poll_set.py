"""One poll object for a loop, whose descriptors differ a little from round to round."""

from __future__ import annotations

import select
from collections.abc import Mapping


class PollSet:
    """Waits for descriptors; the poll object keeps those that stay the same."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._events: dict[int, int] = {}

    def wait(self, wanted: Mapping[int, int], timeout: float | None = None) -> set[int]:
        """Returns the descriptors that are ready, or have an error or a hang-up.

        Args:
            wanted: descriptor -> events, as select.poll has them. A descriptor without events is left out: poll would
                report its hang-up again and again.
            timeout: seconds; None for no limit.
        """
        wanted = {fd: events for fd, events in wanted.items() if events}
        for fd in self._events.keys() - wanted.keys():
            self._poll.unregister(fd)
        for fd, events in wanted.items():
            if self._events.get(fd) != events:
                self._poll.register(fd, events)
        self._events = wanted
        return {fd for fd, _ in self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000)}

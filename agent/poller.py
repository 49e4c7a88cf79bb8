"""Polls descriptors, for a loop that says in each round what to watch, and until when."""

from __future__ import annotations

import select
from typing import Dict, Iterable, Optional

READ = select.POLLIN
WRITE = select.POLLOUT
FAILED = select.POLLHUP | select.POLLERR | select.POLLNVAL
PEER_CLOSED = getattr(select, "POLLRDHUP", 0x2000 if hasattr(select, "epoll") else 0)
"""The poll event POLLRDHUP: the peer has sent a FIN. It is reported even if bytes before the FIN are unread.

0 on systems other than Linux, which have no such event. The number is here because PyPy's select has no name for it.
"""


def earliest(times: Iterable[Optional[float]]) -> Optional[float]:
    """Returns the earliest of `times`, in which None stands for never. Returns None if there is no time."""
    first = None
    for at in times:
        if at is not None and (first is None or at < first):
            first = at
    return first


class Poller:
    """A set of descriptors to poll, by select.poll.

    A descriptor for which no events are wanted is not polled at all. Otherwise poll would report again and again that
    the peer has hung up.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._masks: Dict[int, int] = {}

    def watch(self, wanted: Dict[int, int]) -> None:
        """Replaces the set of descriptors to poll. `wanted`: the events to watch for, as a mask for each descriptor."""
        if wanted == self._masks:
            return
        for fd in [fd for fd in self._masks if not wanted.get(fd)]:
            self._poll.unregister(fd)
            del self._masks[fd]
        for fd, mask in wanted.items():
            if mask and self._masks.get(fd) != mask:
                self._poll.register(fd, mask)
                self._masks[fd] = mask

    def wait(self, timeout: Optional[float]) -> Dict[int, int]:
        """Waits for an event, up to `timeout` seconds; without limit if it is None.

        Returns the events as a mask for each descriptor. They may include POLLHUP, POLLERR and POLLNVAL, which poll
        always reports.
        """
        # Round up, so that a deadline has passed when the wait for it ends.
        return dict(self._poll.poll(None if timeout is None else max(0, int(timeout * 1000 + 0.999))))

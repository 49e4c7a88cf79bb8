"""A poll set that is given in each round of a loop what to watch."""

from __future__ import annotations

import select
from typing import Dict, Optional

READ = select.POLLIN
WRITE = select.POLLOUT
FAILED = select.POLLHUP | select.POLLERR | select.POLLNVAL
PEER_CLOSED = getattr(select, "POLLRDHUP", 0x2000 if hasattr(select, "epoll") else 0)
"""The peer has sent a FIN, even if bytes before it are unread. 0 if not Linux; PyPy's select has no name for it."""


class Poller:
    """Wraps select.poll. It leaves out a descriptor with no events, as poll would always report its hang-up."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._masks: Dict[int, int] = {}

    def watch(self, wanted: Dict[int, int]) -> None:
        """Watch exactly these descriptors for these events."""
        for fd in [fd for fd in self._masks if not wanted.get(fd)]:
            self._poll.unregister(fd)
            del self._masks[fd]
        for fd, mask in wanted.items():
            if mask and self._masks.get(fd) != mask:
                self._poll.register(fd, mask)
                self._masks[fd] = mask

    def wait(self, timeout: Optional[float]) -> Dict[int, int]:
        """Wait up to `timeout` seconds, or without end if None. Returns the events by descriptor, FAILED among them."""
        # Rounded up, so that a deadline has passed when the wait for it ends.
        return dict(self._poll.poll(None if timeout is None else max(0, int(timeout * 1000 + 0.999))))

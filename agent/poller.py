"""What the loop waits for: a poll set that is told each turn what to watch."""

from __future__ import annotations

import select
from typing import Dict, Optional

READ = select.POLLIN
WRITE = select.POLLOUT
FAILED = select.POLLHUP | select.POLLERR | select.POLLNVAL
PEER_CLOSED = getattr(select, "POLLRDHUP", 0x2000 if hasattr(select, "epoll") else 0)
"""The peer's FIN arrived, seen without reading up to it. Linux only; PyPy's select does not name it."""


class Poller:
    """A poll set by descriptor. One without wishes is left out: the kernel would report its hang-up for ever."""

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
        """Events by descriptor; at least those waited for, and FAILED."""
        # Rounded up: a deadline must have passed when the wait for it ends.
        return dict(self._poll.poll(None if timeout is None else max(0, int(timeout * 1000 + 0.999))))

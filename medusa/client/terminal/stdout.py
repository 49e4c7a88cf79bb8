"""Writes to standard output without blocking the session's loop.

Setting O_NONBLOCK on descriptor 1 would break other programs, because the shell and every process on the terminal share
that flag. So on Linux a terminal or pipe is opened a second time, with O_NONBLOCK. On other systems, poll is asked
before each write, and the writes are so small that they do not block.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import stat
import sys

_WHOLE = 64 * 1024
"""The maximum size in bytes of one write to a non-blocking descriptor."""

_PIECE = 512
"""The maximum size in bytes of one write to a blocking descriptor. A writable pipe accepts so much without blocking,
see _POSIX_PIPE_BUF."""


class Stdout:
    """A queue of bytes that are still to be written to the descriptor `fd`.

    `put` adds bytes to the queue. Call `pump` whenever the descriptor is writable.

    Attributes:
        pending: the number of bytes in the queue.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._own = _reopen(fd)
        self._waiting: collections.deque[memoryview] = collections.deque()
        self.pending = 0

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._fd if self._own is None else self._own

    def put(self, data: bytes) -> None:
        """Adds all of `data` to the queue. The queue has no limit: stop calling this while `pending` is too large."""
        if data:
            self._waiting.append(memoryview(data))
            self.pending += len(data)

    def pump(self) -> None:
        """Writes as much of the queue as is possible without blocking.

        Raises:
            OSError: nobody reads the output any more (EPIPE, EIO).
        """
        while self._waiting and self._ready():
            piece = self._waiting[0][: _PIECE if self._own is None else _WHOLE]
            try:
                written = os.write(self.fileno(), piece)
            except BlockingIOError:
                return
            self.pending -= written
            if written == len(self._waiting[0]):
                self._waiting.popleft()
            else:
                self._waiting[0] = self._waiting[0][written:]

    def close(self) -> None:
        """Closes the descriptor that this object has opened, if any. `fd` itself stays open."""
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def _ready(self) -> bool:
        if self._own is not None:
            return True
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        return bool(poller.poll(0))


def _reopen(fd: int) -> int | None:
    """Opens the terminal or pipe of `fd` a second time, with O_NONBLOCK. Returns None if that is not possible."""
    mode = os.fstat(fd).st_mode
    # If a regular file were reopened, the other processes that write to it would no longer share its offset.
    # A socket cannot be reopened.
    if not sys.platform.startswith("linux") or not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        return None
    with contextlib.suppress(OSError):
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None

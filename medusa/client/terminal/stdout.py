"""Standard output that never blocks the session's loop, without changing flags that other processes share.

O_NONBLOCK belongs to the open file description, which the shell and every other process on the terminal share; setting
it breaks them. So a terminal or pipe is opened a second time if the system allows it (Linux); otherwise it is written
in pieces for which poll has promised room.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import stat
import sys

_WHOLE = 64 * 1024
"""Bytes of one write that cannot block."""

_PIECE = 512
"""Bytes: _POSIX_PIPE_BUF, which a writable pipe takes without blocking."""


class Stdout:
    """Bytes on their way to a file descriptor. Call `put`, and `pump` whenever the descriptor is writable.

    Attributes:
        pending: bytes accepted and not yet written.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._own = _reopen(fd)
        self._waiting: collections.deque[memoryview] = collections.deque()
        self.pending = 0

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd if self._own is None else self._own

    def put(self, data: bytes) -> None:
        """Accepts all of `data`; the caller stops when `pending` is too much."""
        if data:
            self._waiting.append(memoryview(data))
            self.pending += len(data)

    def pump(self) -> None:
        """Writes what can be written now. Raises OSError (EPIPE, EIO) if the reader is gone."""
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
        """Closes the second descriptor, if there is one; the one that was passed in stays open."""
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
    """Opens a terminal or pipe a second time, non-blocking; None if that is not possible."""
    mode = os.fstat(fd).st_mode
    # A regular file must not be reopened: its offset would no longer be shared. A socket cannot be.
    if not sys.platform.startswith("linux") or not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        return None
    with contextlib.suppress(OSError):
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None

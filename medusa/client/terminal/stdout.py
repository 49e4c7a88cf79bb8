"""Writes to standard output without blocking the session's loop.

Setting O_NONBLOCK on descriptor 1 would break other programs, because the shell and every process on the terminal share
that flag. So a terminal or pipe is opened a second time, with O_NONBLOCK. Where that is not possible, poll is asked
before each write, and the writes are so small that they do not block.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator

from medusa.client.cleanup.emulator import Emulator
from medusa.client.terminal.signals import unstopped

_WHOLE = 64 * 1024
"""The maximum size in bytes of one write to a non-blocking descriptor."""

_FOLLOWED = 8 * 1024
"""The maximum size in bytes of one write to a non-blocking descriptor, if there is an `emulator`.

It is smaller because the emulator reads the bytes before the write. If the terminal takes only a part of them, the
emulator has to read that part again, and a shorter write makes this cheaper. Plain text is not divided: the emulator
ignores it.
"""

_PIECE = 512
"""The maximum size in bytes of one write to a blocking descriptor.

If poll reports that a pipe is writable, the pipe accepts so many bytes without blocking (see _POSIX_PIPE_BUF).
"""


class Stdout:
    """A queue of bytes that are still to be written to the descriptor `fd`.

    `put` adds bytes to the queue. Call `pump` whenever the descriptor is writable.

    Args:
        emulator: follows the bytes that are written, to know what they switch on in the terminal. None to follow
            nothing.

    Attributes:
        is_tty: True if the descriptor is a terminal.
        pending: the number of bytes in the queue.
    """

    def __init__(self, fd: int = 1, emulator: Emulator | None = None) -> None:
        self._fd = fd
        self._own = reopen(fd, os.O_WRONLY)
        self._emulator = emulator
        self.is_tty = os.isatty(fd)
        self._waiting: collections.deque[memoryview] = collections.deque()
        self._plain = 0  # bytes at the front of the queue that the emulator ignores
        self.pending = 0

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._fd if self._own is None else self._own

    def put(self, data: bytes) -> None:
        """Adds all of `data` to the queue. The queue has no limit: stop calling this while `pending` is too large."""
        if data:
            self._waiting.append(memoryview(data))
            self.pending += len(data)

    def pump(self, again: Callable[[], bool] = lambda: False) -> None:
        """Writes as much of the queue as is possible without blocking.

        Args:
            again: a function that is called when the descriptor takes no more, as long as the queue is not empty. If it
                returns True, this method tries to write again.

        Raises:
            OSError: nobody reads the output any more (EPIPE, EIO).
        """
        if not self._waiting:
            return
        with unstopped() if self.is_tty else contextlib.nullcontext():
            self._pump()
            while self._waiting and again():
                self._pump()

    def _pump(self) -> None:
        waiting = self._waiting
        try:
            while waiting and (self._own is not None or self._ready()):
                first = waiting[0]
                size = self._plain or self._size()
                piece = first if size >= len(first) else first[:size]
                written = self._write(piece)
                self.pending -= written
                if self._plain:
                    self._plain -= written
                if written == len(first):
                    waiting.popleft()
                else:
                    waiting[0] = first[written:]
                if written < len(piece):
                    return  # the descriptor takes no more
        except BlockingIOError:
            return

    def _size(self) -> int:
        """Returns the maximum size in bytes of the next write."""
        if self._own is None or self._emulator is None:
            return _PIECE if self._own is None else _WHOLE
        if not self._plain and self._emulator.ignores(bytes(first := self._waiting[0][:_WHOLE])):
            self._plain = len(first)
        return self._plain or _FOLLOWED

    def _write(self, piece: memoryview) -> int:
        """Writes `piece` or the beginning of it. Returns the number of bytes written."""
        emulator, fd = self._emulator, self._fd if self._own is None else self._own
        if emulator is None or self._plain:
            return os.write(fd, piece)
        # The emulator is told first: this process may be killed right after the write.
        before, written = emulator.state, 0
        emulator.feed(bytes(piece))
        try:
            written = os.write(fd, piece)
        finally:
            if written < len(piece):
                emulator.state = before
                emulator.feed(bytes(piece[:written]))
        return written

    def close(self) -> None:
        """Closes the descriptor that this object has opened, if any. `fd` itself stays open."""
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def undo_modes(self, timeout: float) -> None:
        """Empties the queue, and switches off what the output is known to have switched on in the terminal.

        Call this after an abnormal end of the session. Gives up after `timeout` seconds if the terminal takes no bytes.
        """
        self._waiting.clear()
        self.pending = self._plain = 0
        emulator, self._emulator = self._emulator, None
        if emulator is None:
            return
        self.put(emulator.undo())
        emulator.undone()
        deadline = time.monotonic() + timeout
        with contextlib.suppress(OSError):
            self.pump()
            while self.pending and (left := deadline - time.monotonic()) > 0:
                self._ready(left)
                self.pump()

    def _ready(self, timeout: float = 0.0) -> bool:
        poller = select.poll()
        poller.register(self.fileno(), select.POLLOUT)
        return bool(poller.poll(timeout * 1000))


def reopen(fd: int, access: int) -> int | None:
    """Opens the terminal or pipe of `fd` a second time, with O_NONBLOCK. Returns None if that is not possible.

    Args:
        access: os.O_RDONLY or os.O_WRONLY.
    """
    mode = os.fstat(fd).st_mode
    # If a regular file were reopened, the other processes that use it would no longer share its offset.
    # A socket cannot be reopened.
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        for path in _paths(fd):
            with contextlib.suppress(OSError):
                return os.open(path, access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None


def _paths(fd: int) -> Iterator[str]:
    """Returns the paths by which the terminal or pipe of `fd` may be opened."""
    if sys.platform.startswith("linux"):
        yield f"/proc/self/fd/{fd}"
    if os.isatty(fd):
        with contextlib.suppress(OSError):
            os.tcgetpgrp(fd)  # fails if `fd` is not the controlling terminal of this process
            yield "/dev/tty"  # unlike the terminal's own file, it may be opened after `su`
        with contextlib.suppress(OSError):
            yield os.ttyname(fd)

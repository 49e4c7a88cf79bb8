"""Runs a command on a pseudo-terminal: passes its input and output, and notes how it ended. No call blocks."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
from typing import Callable, FrozenSet, List, Optional, Tuple, Union

from agent.command.resolve import Launch
from agent.poller import READ, WRITE, earliest
from agent.process.inherited import NOTHING, Inherited
from agent.process.spawn import spawn
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.protocol.channels.limits import MAX_QUEUED
from medusa.protocol.control import Exit, Resize

READ_SIZE = 2 * MAX_QUEUED

PIECE = 4096
"""Bytes. The kernel returns a terminal's output in pieces of at most this size. To ask for more costs memory and time.
"""

SHORT = 256
"""Bytes. After a read that got fewer, there is probably no more output, unless output comes in a stream."""

GATHER_TIMEOUT = 0.01
"""Seconds. If output comes in a stream, the reads of one round of the agent's loop take up to so long, and 3 ms more.

They end sooner if no more output comes for 3 ms, and take no time if anything else waits to be served. On a busy
machine, the kernel may run other programs for so long before the one that writes.

A terminal holds only a few KiB. Without this, however fast a program writes, its output would be sent in small pieces.
"""

STREAM_TIMEOUT = 0.02
"""Seconds. Output comes in a stream if the last read got PIECE bytes or more, and was not longer ago than this."""

INPUT_HIGH = 256 * 1024
"""Bytes. If more input than this waits for the terminal, no more is read from the link to the client.

So the rest of a long paste waits in the network.
"""

INPUT_LOW = INPUT_HIGH // 2
"""Bytes. After the input that waits for the terminal has shrunk to this size, the link is read again."""


class TerminalChild:
    """A started command, and the master side of its terminal.

    Attributes:
        pid: the pid of the command, which leads its own kernel session.
        fd: the descriptor of the terminal's master side, non-blocking; -1 after `close`.
        exit: how the command ended; None until `Commands.reap` has found that it has ended.
        pipes, background: see `Command`.
        full: True if so much input waits for the terminal that the caller should not read more from the link.
        more: True if there may be more output than the last `read` has returned.
    """

    def __init__(self, pid: int, fd: int, clock: Callable[[], float], timeouts: Timeouts) -> None:
        self.pid = pid
        self.fd = fd
        self.exit: Optional[Exit] = None
        self.pipes: FrozenSet[Tuple[int, int]] = frozenset()
        self.background = False
        self.full = self.more = False
        self._clock, self._timeouts = clock, timeouts
        self._input = bytearray()
        self._reopen_at = self._stream_until = clock()
        self._readable = select.poll()
        self._readable.register(fd, READ)
        os.set_blocking(fd, False)
        os.set_inheritable(fd, False)

    @classmethod
    def start(
        cls,
        launch: Launch,
        guard: Guard,
        clock: Callable[[], float],
        timeouts: Timeouts,
        inherited: Inherited = NOTHING,
    ) -> TerminalChild:
        """Starts a command on a new terminal.

        Args:
            guard: a helper process that ends the command if the agent dies.
            clock: a function that returns monotonic seconds.
            inherited: the settings, inherited from the job, that are restored for the command.

        Raises:
            CannotStart: there is no free terminal or process, or the program cannot be executed.
        """
        return cls(*spawn(launch, guard, inherited), clock, timeouts)

    # ------------------------------------------------------------------ poll

    def events(self, *, reading: bool) -> int:
        """Returns the events for which to poll `fd`; 0 for none. `reading`: True if output is wanted now."""
        return (READ if reading and self.is_open else 0) | (WRITE if self._input else 0)

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `write_input` and `read` even without an event.

        Returns None to wait for events only. The time is on the `clock` that was passed to `start`.
        """
        now = self._clock()
        at = None if now >= self._reopen_at else self._reopen_at
        return earliest([at, now + self._timeouts.input_interval]) if self._input else at

    @property
    def is_open(self) -> bool:
        """True if `read` may return output. For `reopen_interval` after `retry_later`, this is False."""
        return self._clock() >= self._reopen_at

    # ------------------------------------------------------------------ output

    def read(self, limit: int = READ_SIZE, gather_until: float = 0.0) -> Optional[bytes]:
        """Returns output, at most `limit` bytes; None if there is none now.

        Args:
            gather_until: the time, by the clock, until which to wait for more output if it comes in a stream.

        Raises:
            EOFError: no process has the terminal open. Call `retry_later`, and continue to call `read`, because the
                command may open the terminal again.
        """
        if not self.is_open:
            return None
        parts: List[bytes] = []
        size = 0
        streams = self._clock() < self._stream_until
        self.more = True
        while size < limit:
            try:
                data = os.read(self.fd, min(PIECE, limit - size))
            except OSError as error:
                gathers = error.errno == errno.EAGAIN and size and streams
                if gathers and self._clock() < gather_until and self._readable.poll(3):
                    continue
                if error.errno in (errno.EAGAIN, errno.EINTR) or parts:
                    break
                if error.errno == errno.EIO:
                    raise EOFError from None
                raise
            if not data:
                if parts:
                    break
                raise EOFError
            parts.append(data)
            size += len(data)
            if size < SHORT and not streams:
                self.more = False
                return data
        if size >= PIECE:
            self._stream_until = self._clock() + STREAM_TIMEOUT
        return b"".join(parts) or None

    def retry_later(self) -> None:
        """Makes `read` return None for `reopen_interval`. Call it after EOFError.

        Otherwise `read` would raise EOFError again and again.
        """
        self._reopen_at = self._clock() + self._timeouts.reopen_interval

    def retry_now(self) -> None:
        """Ends the effect of `retry_later`: the next `read` tries to read from the terminal."""
        self._reopen_at = self._clock()

    # ------------------------------------------------------------------ input

    def put(self, data: bytes) -> None:
        """Adds input of any size to the waiting input. `full` may become True. Call `write_input` next."""
        self._input += data
        self.full = len(self._input) > INPUT_HIGH

    def write_input(self) -> None:
        """Writes as much of the waiting input as the terminal accepts now."""
        if not self._input:
            return
        with memoryview(self._input) as view:
            taken = self.write(view[:INPUT_HIGH])
        if taken is None:
            self.drop_input()
            return
        del self._input[:taken]
        if len(self._input) <= INPUT_LOW:
            self.full = False

    def drop_input(self) -> None:
        """Discards the waiting input. Call it if no process will read this input."""
        self._input.clear()
        self.full = False

    def write(self, data: Union[bytes, memoryview]) -> Optional[int]:
        """Writes to the terminal at once, without the queue of `put`. Returns the number of bytes that were accepted.

        Returns None if no process has the terminal open.
        """
        try:
            return os.write(self.fd, data)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return 0
            if error.errno == errno.EIO:
                return None
            raise

    def resize(self, size: Resize) -> None:
        """Sets the terminal's size. The kernel then sends SIGWINCH to the foreground processes."""
        try:
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size.lines, size.columns, 0, 0))
        except (OSError, ValueError):
            pass  # the terminal is gone, or cannot have this size

    def signal(self, number: int) -> None:
        """Sends a signal to the terminal's foreground processes. Does nothing if there are none."""
        for group in self.foreground():
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                pass

    # ------------------------------------------------------------------ end

    def foreground(self) -> List[int]:
        """Returns a list with the id of the terminal's foreground process group; an empty list if there is none."""
        try:
            group = os.tcgetpgrp(self.fd)
        except OSError:
            return []
        return [group] if group > 1 else []

    def close(self) -> None:
        """Closes the terminal's master side. The kernel then hangs up on the processes that have the terminal open."""
        self._input.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

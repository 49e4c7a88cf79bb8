"""Reads standard input for a command on pipes: from a file, a pipe, a socket or a terminal.

The modes of a terminal stay as they are.
"""

from __future__ import annotations

import math
import os
import termios
from collections.abc import Callable, Iterable

from medusa.client.cleanup.tty_modes import in_foreground, reads_lines
from medusa.client.pipes.descriptors import enlarge, is_pipe, release
from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.terminal.stdin import Stdin
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts

MUCH = 64 * 1024
"""Bytes. After as many have been read from a pipe, the pipe is enlarged."""


class Source:
    """Reads standard input, the descriptor `fd`, for a command on pipes.

    Args:
        tell: a function that shows a line to the user.
        outputs: the descriptors of standard output and error. If one of them is a pipe, the program at its other end
            may use the same terminal, as in `mlogin -c ... | less`. While that program reads keys, this object reads
            nothing.

    Attributes:
        over: True if the input has ended, or is not wanted any more.
        may_block: True if `read` may block. Then call it only once each time that poll has reported bytes.
        taken: the number of bytes that were read.
        deadline: the time at which to call `ready` next, even without an event. Infinite, except while mlogin must not
            read its terminal: in the background, or while another program reads the keys.
    """

    def __init__(
        self,
        fd: int,
        tell: Callable[[str], None],
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        outputs: Iterable[int] = (),
    ) -> None:
        self._fd, self._tell = fd, tell
        self._stdin = Stdin(fd)
        self.may_block = self._stdin.may_block
        self._is_tty = os.isatty(fd)
        self._shared = self._is_tty and any(is_pipe(output) for output in outputs)
        self._interval = timeouts.foreground_interval
        self._away = self._is_tty
        self._enlarged = False
        self.over = False
        self.taken = 0
        self.deadline = math.inf

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._stdin.fileno()

    def ready(self, now: float) -> bool:
        """Returns True if `read` may be called: the input has not ended, and mlogin may read its terminal."""
        if self._away and (self.deadline == math.inf or now >= self.deadline):
            self._away = not in_foreground(self._fd) or self._read_by_another()
            self.deadline = now + self._interval if self._away else math.inf
        return not (self.over or self._away)

    def read(self, size: int) -> bytes | None:
        """Returns up to `size` bytes of input; b"" at the end of the input; None if there are no bytes now.

        If reading fails before the first byte, tells the user so and returns b"": the command may need no input. For a
        terminal, returns b"" if it is gone, and None while mlogin must not read it.

        Raises:
            SessionEnded: reading has failed after some bytes were read.
        """
        if self._read_by_another():  # it may have begun to after `ready`
            self._away = True
            return None
        try:
            data = self._stdin.read(size)
        except OSError as error:
            data = self._failed(error)
        if data == b"":
            self.over = True
        self.taken += len(data or b"")
        if self.taken >= MUCH and not self._enlarged:
            self._enlarged = True
            enlarge(self.fileno())
        return data

    def _read_by_another(self) -> bool:
        if not self._shared:
            return False
        try:
            return not reads_lines(termios.tcgetattr(self._fd))
        except termios.error:
            return False

    def _failed(self, error: OSError) -> bytes | None:
        if self._is_tty:
            self._away = not _is_gone(self._fd)
            return None if self._away else b""
        text = f"cannot read standard input ({error.strerror})"
        if self.taken:
            raise SessionEnded(Ending.DISCONNECTED, text) from error
        self._tell(text)
        return b""

    def stop(self) -> None:
        """Closes standard input, because the command takes no more. Then the program that writes to it gets SIGPIPE.

        The descriptor refers to /dev/null after that, so that its number is not used for something else.
        """
        self.over = True
        self.close()
        release(self._fd)

    def close(self) -> None:
        """Closes the descriptors that this object has opened. Call it at the end."""
        self._stdin.close()


def _is_gone(fd: int) -> bool:
    try:
        termios.tcgetattr(fd)
    except termios.error:
        return True
    return False

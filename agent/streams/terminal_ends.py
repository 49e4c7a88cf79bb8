"""A command's terminal, used as if it were two pipes: one for its input, one for its output."""

from __future__ import annotations

from typing import List, Optional, Union

from agent.process.pipe_child import STDIN
from agent.process.terminal_child import TerminalChild

MOST = 64 * 1024
"""Bytes of output that are read at once. So the first of them are on their way while the command writes more."""


class TerminalEnds:
    """The agent's ends of a command's terminal. They have the methods that PipeChild has for its pipes.

    Attributes:
        preface: bytes that `read` returns before any output of the command. They can be read at once: the caller need
            not wait until the terminal has output.
    """

    def __init__(self, child: TerminalChild, preface: bytes) -> None:
        self._child, self.preface = child, preface

    @property
    def fds(self) -> List[int]:
        """The descriptors to poll for input and for output; -1 for one that is not to be used now."""
        child = self._child
        return [child.fd, child.fd if child.is_open else -1]

    def read(self, sub: int, size: int) -> Optional[bytes]:
        """Returns at most `size` bytes of output; None if there is none now.

        Raises:
            EOFError: the command has ended, and no process has the terminal open any more.
        """
        if self.preface:
            found, self.preface = self.preface[:size], self.preface[size:]
            return found
        try:
            return self._child.read(min(size, MOST))
        except EOFError:
            if self._child.exit is not None:
                raise
            self._child.retry_later()  # the command may open it again
            return None

    def write(self, data: Union[bytes, memoryview]) -> int:
        """Writes input. Returns how many bytes were accepted: all, if no process has the terminal open to read them."""
        taken = self._child.write(data)
        return len(data) if taken is None else taken

    def close(self, sub: int) -> None:
        """Hangs up the terminal if `sub` is its output. Does nothing for the input: a terminal has no end of input."""
        if sub != STDIN:
            self._child.close()

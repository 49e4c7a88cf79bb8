"""Signals as readable bytes, so that one poll waits for everything."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Dict, Iterable, List, Optional

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""What asks the agent to stop."""


class Stopped(BaseException):
    """The agent was asked to stop while it stood in a blocking call. Not an Exception: nothing may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Wakeup:
    """Owns the process's handlers of some signals and SIGCHLD, and a pipe that turns readable with each of them.

    Args:
        ending: signals that ask to stop.
        others: signals that shall do nothing more than turn the pipe readable.

    Attributes:
        stopped: the ending signal that came first, or None.
        raising: while true an ending signal raises Stopped, for the phases that block.
    """

    def __init__(self, ending: Iterable[int] = ENDING, others: Iterable[int] = ()) -> None:
        self.stopped: Optional[int] = None
        self.raising = False
        self._deaf_to = {signal.SIGCHLD, *others}
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before: Dict[int, object] = {
            number: signal.signal(number, self._handle) for number in (*ending, *self._deaf_to)
        }

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._reader

    def drain(self) -> List[int]:
        """The signals that came since the last call."""
        try:
            return list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []

    def check(self) -> None:
        """Raises Stopped when an ending signal came already."""
        if self.stopped is not None:
            raise Stopped(self.stopped)

    def close(self) -> None:
        """Give the handlers back."""
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self._reader)
        os.close(self._writer)

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if number in self._deaf_to:
            return
        if self.stopped is None:
            self.stopped = number
        if self.raising:
            self.raising = False  # once: the next one would come out of what heeds this one
            raise Stopped(number)

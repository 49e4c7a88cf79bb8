"""The agent's signals: those that ask it to stop, and those that only wake its loop."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Iterable, Optional

from medusa.signal_pipe import SignalPipe

STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""What asks the agent to stop."""


class Stopped(BaseException):
    """The agent was asked to stop during a blocking call. Not an Exception, so that no general handler swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopSignals(SignalPipe):
    """A SignalPipe that remembers the first signal that asks to stop, and can raise it.

    Args:
        stopping: signals that ask to stop.
        others: signals that only make the pipe readable; SIGCHLD always does.

    Attributes:
        stopped: the stopping signal that came first, or None.
        raising: set this around calls that block: a stopping signal then raises Stopped, once.
    """

    def __init__(self, stopping: Iterable[int] = STOPPING, others: Iterable[int] = ()) -> None:
        self.stopped: Optional[int] = None
        self.raising = False
        self._stopping = frozenset(stopping)
        super().__init__((*self._stopping, signal.SIGCHLD, *others), self._handle)

    def check(self) -> None:
        """Raise Stopped if a stopping signal has come."""
        if self.stopped is not None:
            raise Stopped(self.stopped)

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if number not in self._stopping:
            return
        if self.stopped is None:
            self.stopped = number
        if self.raising:
            self.raising = False  # a second signal must not interrupt the clean-up after the first
            raise Stopped(number)

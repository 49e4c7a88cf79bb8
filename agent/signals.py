"""Handles the agent's signals: those that ask it to stop, those that it passes on, those that only wake its loop."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Iterable, Optional

from medusa.signal_pipe import SignalPipe

STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""The signals that ask the agent to stop."""


PASSED_ON = tuple(
    getattr(signal, name)
    for name in ["SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGIO", "SIGPWR"]
    if hasattr(signal, name)
)
"""The signals that the agent passes on to its session's foreground processes. Job systems send them to programs.

The signals that `wrap` passes on to its step are others, see agent/wrap/step_signals.py.
"""


class Stopped(BaseException):
    """Raised if a signal asks the agent to stop during a blocking call. `number` is the signal.

    It is not a subclass of Exception, so `except Exception` does not catch it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopSignals(SignalPipe):
    """A pipe that becomes readable after a signal. It remembers the first signal that asks the agent to stop.

    It can also raise Stopped for this signal.

    Args:
        stopping: the signals that ask to stop.
        others: further signals that only make the pipe readable. SIGCHLD is always one of these.

    Attributes:
        stopped: the stopping signal that came first, or None.
        raising: set this to True around calls that block. The next stopping signal then raises Stopped.
    """

    def __init__(self, stopping: Iterable[int] = STOPPING, others: Iterable[int] = ()) -> None:
        self.stopped: Optional[int] = None
        self.raising = False
        self._stopping = frozenset(stopping)
        super().__init__((*self._stopping, signal.SIGCHLD, *others), self._handle)

    def check(self) -> None:
        """Raises Stopped if a stopping signal has come."""
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

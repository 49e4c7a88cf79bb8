"""mlogin's signals as events for its loop, so that none interrupts a step half-way."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from medusa.client.outcome import Interrupted
from medusa.signal_pipe import SignalPipe

FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that ask mlogin to end."""

_WATCHED = (*FATAL, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD)


class Signals:
    """Between enter and exit: `fileno()` is readable if signals came, and `take` returns their numbers.

    A signal that was ignored when mlogin was started (by nohup, or in a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._raising = False

    def __enter__(self) -> Signals:
        ignored = {n for n in (*FATAL, signal.SIGTSTP) if signal.getsignal(n) is signal.SIG_IGN}
        self._pipe = SignalPipe([n for n in _WATCHED if n not in ignored], self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.close()

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._pipe.fileno()

    @property
    def job_control(self) -> bool:
        """Whether a shell will continue what stops: one without job control starts commands with SIGTSTP ignored."""
        return signal.SIGTSTP in self._pipe.found

    def take(self) -> list[int]:
        """The signals that came since the last call, in order. Never blocks."""
        return self._pipe.take()

    def take_or_raise(self) -> list[int]:
        """Like `take`, but raises Interrupted if one of FATAL is among the signals."""
        numbers = self.take()
        for number in numbers:
            if number in FATAL:
                raise Interrupted(number)
        return numbers

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Put this around a call that blocks without watching `fileno()`: one of FATAL raises Interrupted inside it."""
        self._raising = True
        try:
            self.take_or_raise()
            yield
        finally:
            self._raising = False

    @contextlib.contextmanager
    def default(self, number: int) -> Iterator[None]:
        """Inside, signal `number` does what the system does by default."""
        before = signal.signal(number, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(number, before)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Put this around a call that blocks while the terminal's modes are unchanged: SIGTSTP stops mlogin at once."""
        with self.default(signal.SIGTSTP) if self.job_control else contextlib.nullcontext():
            yield

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raising and number in FATAL:
            raise Interrupted(number)

"""mlogin's signals: as events for its loop, so that nothing is interrupted half-way."""

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
    """While entered: `fileno()` is readable when signals came, `take()` gives their numbers.

    A signal that was ignored when mlogin was started (nohup, a shell's background job) stays ignored.
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
        return self._pipe.fileno()

    @property
    def job_control(self) -> bool:
        """Whether somebody will continue what stops: without job control a shell starts commands deaf to SIGTSTP."""
        return signal.SIGTSTP in self._pipe.found

    def take(self) -> list[int]:
        """The signals that came since the last call, in order."""
        return self._pipe.take()

    def take_or_raise(self) -> list[int]:
        """As take(). Raises Interrupted for one of FATAL."""
        signums = self.take()
        for signum in signums:
            if signum in FATAL:
                raise Interrupted(signum)
        return signums

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around a call that blocks without watching fileno(): one of FATAL raises Interrupted inside it."""
        self._raising = True
        try:
            self.take_or_raise()
            yield
        finally:
            self._raising = False

    @contextlib.contextmanager
    def default(self, signum: int) -> Iterator[None]:
        """Inside, `signum` does what the system does by default."""
        before = signal.signal(signum, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signum, before)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Around a call that blocks, while the terminal is as it was found: SIGTSTP stops at once."""
        with self.default(signal.SIGTSTP) if self.job_control else contextlib.nullcontext():
            yield

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._raising and signum in FATAL:
            raise Interrupted(signum)

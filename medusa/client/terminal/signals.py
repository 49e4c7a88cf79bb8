"""Receives mlogin's signals as events for its loop, so that a signal does not interrupt other code."""

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
    """The signals that mlogin receives. Use it in a `with` block, which installs and removes the handlers.

    In the block, `fileno()` is readable if signals have arrived, and `take` returns their numbers. A signal that was
    ignored when mlogin was started (by nohup, or in a shell's background job) stays ignored.
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
        """Returns the descriptor to poll. It is readable if signals have arrived."""
        return self._pipe.fileno()

    @property
    def job_control(self) -> bool:
        """True if the shell has job control, so that it can continue mlogin after a stop.

        A shell without job control starts its commands with SIGTSTP ignored.
        """
        return signal.SIGTSTP in self._pipe.found

    def take(self) -> list[int]:
        """Returns the numbers of the signals that arrived since the last call, in order. Never blocks."""
        return self._pipe.take()

    def take_or_raise(self) -> list[int]:
        """Returns the numbers that `take` returns. Raises Interrupted if a signal in FATAL is among them."""
        numbers = self.take()
        for number in numbers:
            if number in FATAL:
                raise Interrupted(number)
        return numbers

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Context manager for a blocking call: in its `with` block a signal in FATAL raises Interrupted at once.

        Needed for calls that do not poll `fileno()`.
        """
        self._raising = True
        try:
            self.take_or_raise()
            yield
        finally:
            self._raising = False

    @contextlib.contextmanager
    def default(self, number: int) -> Iterator[None]:
        """Context manager: in its `with` block the signal `number` has the system's default action."""
        before = signal.signal(number, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(number, before)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Context manager for a blocking call: in its `with` block SIGTSTP stops mlogin at once.

        Use it only while the terminal is not in raw mode.
        """
        with self.default(signal.SIGTSTP) if self.job_control else contextlib.nullcontext():
            yield

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raising and number in FATAL:
            raise Interrupted(number)

"""Receives mlogin's signals as events for its loop, so that a signal does not interrupt other code."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from medusa.client.outcome import Disconnected, Interrupted
from medusa.signal_pipe import SignalPipe

FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that ask mlogin to end."""

STOPS = (signal.SIGTTIN, signal.SIGTTOU)
"""Signals that stop a process in the background if it reads its terminal, or changes the terminal's modes.

mlogin catches them, because they are sent to the whole process group: a child of mlogin that uses the terminal would
stop mlogin too.
"""

_set_mask = getattr(_signal, "pthread_sigmask", signal.pthread_sigmask)
"""Like signal.pthread_sigmask, which also makes an enum of each signal. That takes longer than the call itself."""

_WATCHED = (*FATAL, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD, *STOPS)


class unstopped:  # noqa: N801
    """Context manager for a call that uses the terminal: in its `with` block, the signals in STOPS do not stop mlogin.

    If mlogin is in the background, a read in the block fails with EIO, and a write succeeds even after `stty tostop`.
    The signals are blocked in this thread, not ignored, because child processes would ignore them too.
    """

    def __enter__(self) -> None:
        self._before = _set_mask(signal.SIG_BLOCK, STOPS)

    def __exit__(self, *exc: object) -> None:
        _set_mask(signal.SIG_SETMASK, self._before)


class Signals:
    """Receives mlogin's signals. Use it in a `with` block, which installs and removes the handlers.

    In the block, `fileno()` is readable if signals have arrived, and `take` returns their numbers. A signal that was
    ignored when mlogin was started (by nohup, or in a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._raising = False
        self._disconnected = False

    def __enter__(self) -> Signals:
        ignored = {n for n in (*FATAL, signal.SIGTSTP, *STOPS) if signal.getsignal(n) is signal.SIG_IGN}
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
        """Returns the numbers of the signals that arrived since the last call, in order. Never blocks.

        Raises:
            Interrupted: a signal in FATAL is among them.
            Disconnected: `disconnect` was called.
        """
        numbers = self.take()
        if self._disconnected:
            raise Disconnected
        for number in numbers:
            if number in FATAL:
                raise Interrupted(number)
        return numbers

    def disconnect(self) -> None:
        """Makes the main thread raise Disconnected, at the next place where SIGINT would raise Interrupted.

        Any thread may call this.
        """
        self._disconnected = True
        os.kill(os.getpid(), signal.SIGWINCH)  # it also interrupts a blocking call

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Context manager for a call that asks the user on the terminal.

        In its `with` block the signals in STOPS have their usual effect: they stop mlogin if it uses the terminal in
        the background. mlogin continues, and can ask, after the user has brought it to the foreground.
        """
        with contextlib.ExitStack() as stack:
            for number in STOPS:
                stack.enter_context(self.default(number))
            yield

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
    def watching(self, *numbers: int) -> Iterator[None]:
        """Context manager: in its `with` block, `take` also returns the signals that are given here (`numbers`).

        Signals that are ignored stay ignored.
        """
        before = {number: signal.getsignal(number) for number in numbers}
        caught = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
        for number in caught:
            signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in caught.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Context manager for a blocking call: in its `with` block SIGTSTP stops mlogin at once.

        Use it only while the terminal is not in raw mode.
        """
        with self.default(signal.SIGTSTP) if self.job_control else contextlib.nullcontext():
            yield

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raising and self._disconnected:
            raise Disconnected
        if self._raising and number in FATAL:
            raise Interrupted(number)

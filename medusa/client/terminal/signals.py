"""Signals as events of a file descriptor, so that a loop sees them in turn and nothing is interrupted half-way."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

from medusa.client.outcome import Interrupted

FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that ask mlogin to end."""

_WATCHED = (*FATAL, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD)


class Signals:
    """While entered: `fileno()` is readable when signals came, `take()` gives their numbers.

    A signal that was ignored when mlogin was started (nohup, a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._raising = False
        self._reader = self._writer = -1

    def __enter__(self) -> Signals:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        for signum in _WATCHED:
            before = signal.getsignal(signum)
            if before is signal.SIG_IGN and signum in (*FATAL, signal.SIGTSTP):
                continue
            self._before[signum] = before
            signal.signal(signum, self._note)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.set_wakeup_fd(-1)
        for signum, before in self._before.items():
            signal.signal(signum, before)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        return self._reader

    @property
    def job_control(self) -> bool:
        """Whether somebody will continue what stops: without job control a shell starts commands deaf to SIGTSTP."""
        return signal.SIGTSTP in self._before

    def take(self) -> list[int]:
        """The signals that came since the last call, in order."""
        try:
            return list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []

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

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._raising and signum in FATAL:
            raise Interrupted(signum)

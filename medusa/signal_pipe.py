"""Turns signals into bytes of a pipe, so one poll can wait for signals too. Also returns the names of signals."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, Callable, Dict, Iterable, List, Optional

Handler = Callable[[int, Optional[FrameType]], Any]

READ_SIZE = 4096
"""The maximum number of bytes to read from the pipe at once. Each byte is one signal."""


def do_nothing(number: int, frame: Optional[FrameType]) -> None:
    """Does nothing: this is the default signal handler of SignalPipe.

    Python writes the signal's byte to the pipe before it calls the handler. With SIG_IGN in place of this handler, no
    byte would be written.
    """


def signal_name(number: int) -> str:
    """Returns the name of a signal, such as `SIGTERM`. Returns `signal 35` for a signal without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def signal_number(name: str) -> Optional[int]:
    """Returns the number of the signal `name`, such as `TERM` or `SIGTERM`. None if this system has no such signal."""
    found = signal.Signals.__members__.get(name if name.startswith("SIG") else "SIG" + name)
    return None if found is None else int(found)


class SignalPipe:
    """A pipe that becomes readable when one of the signals `numbers` comes. Sets the handlers of these signals.

    Poll `fileno()`. If it is readable, call `take`. A process can have only one such pipe (see signal.set_wakeup_fd).
    Only the main thread may create it.

    Args:
        numbers: the signals that make the pipe readable.
        handler: a function that Python calls for each of these signals, between any two instructions of the main
            thread.

    Attributes:
        found: the handlers that the signals had before. `close` restores them.
    """

    def __init__(self, numbers: Iterable[int], handler: Handler = do_nothing) -> None:
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self.found: Dict[int, Any] = {number: signal.signal(number, handler) for number in numbers}

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._reader

    def take(self) -> List[int]:
        """Returns the signals that have come since the last call, in order. Never blocks."""
        try:
            return list(os.read(self._reader, READ_SIZE))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Restores the former handlers and closes the pipe."""
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self.found.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

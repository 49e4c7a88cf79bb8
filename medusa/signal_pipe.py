"""Signals as bytes in a pipe, so that one poll waits for them as it waits for everything else; and their names."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, Callable, Dict, Iterable, List, Optional

Handler = Callable[[int, Optional[FrameType]], Any]

READ_SIZE = 4096
"""Bytes, each of which is one signal."""


def do_nothing(number: int, frame: Optional[FrameType]) -> None:
    """A handler for signals of which the byte in the pipe says all. It is there because SIG_IGN would bring no byte."""


def signal_name(number: int) -> str:
    """`SIGTERM`; `signal 35` for one without a name, such as most real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


class SignalPipe:
    """Owns the handlers of some signals, and a pipe that becomes readable with each of them.

    Poll `fileno()`; if it is readable, call `take`. There is one per process (see signal.set_wakeup_fd), and only the
    main thread may make it.

    Args:
        numbers: the signals.
        handler: what Python calls for each of them besides, between two instructions of whatever runs then.

    Attributes:
        found: the handlers that the signals had before, which `close` puts back.
    """

    def __init__(self, numbers: Iterable[int], handler: Handler = do_nothing) -> None:
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self.found: Dict[int, Any] = {number: signal.signal(number, handler) for number in numbers}

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._reader

    def take(self) -> List[int]:
        """The signals that came since the last call, in order. Never blocks."""
        try:
            return list(os.read(self._reader, READ_SIZE))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Put the former handlers back and close the pipe."""
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self.found.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

"""Finds out what a SIGHUP means: the terminal of the process has ended, or the user asks the process to reload."""

from __future__ import annotations

import errno
import math
import os
import signal
import time
from collections.abc import Callable

CHECK_INTERVAL = 1.0
"""Seconds between two calls of `look`, as long as `watching` is True."""

LATEST, EARLIEST = 5.0, -1.5 * CHECK_INTERVAL
"""A SIGHUP means the end of the terminal if it comes EARLIEST to LATEST seconds after `look` has seen this end.

LATEST is above 0, because the shell gets the signal first, and may take some time to pass it on to its jobs. EARLIEST
is below 0, because the signal may come before the call of `look` that sees the end of the terminal.
"""


def has_terminal() -> bool:
    """Returns True if this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # unknown: as if it still had one
    return True


class Hangup:
    """Decides what a SIGHUP to a reflector means: the end of its terminal, or a request to reload.

    Create this object before a handler for SIGHUP is set. Each SIGHUP counts as a request to reload in these cases:
    - SIGHUP is ignored when this object is created, as under nohup.
    - The process has no controlling terminal when this object is created.
    - The terminal has ended some time before, without a SIGHUP. This happens to a job that its shell has disowned.

    Args:
        has_terminal: returns True if this process has a controlling terminal.
        clock: returns monotonic seconds.

    Attributes:
        watching: True as long as there is a terminal whose end stops the reflector.
    """

    def __init__(
        self, has_terminal: Callable[[], bool] = has_terminal, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._has_terminal = has_terminal
        self._clock = clock
        self._lost_at = math.inf
        self._signalled_at = -math.inf
        self.watching = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and has_terminal()

    def look(self) -> bool:
        """Checks whether the terminal has ended. Returns True if it has ended and a SIGHUP came at about the same time.

        Call this every CHECK_INTERVAL as long as `watching` is True. If it returns True, stop the reflector.
        """
        if self.watching and not self._has_terminal():
            self.watching = False
            self._lost_at = self._clock()
        return EARLIEST <= self._signalled_at - self._lost_at <= LATEST

    def signalled(self) -> bool:
        """Decides what a SIGHUP means. Returns True for the end of the terminal, False for a request to reload.

        Call this once for each SIGHUP, when it comes.
        """
        self._signalled_at = self._clock()
        return self.look()

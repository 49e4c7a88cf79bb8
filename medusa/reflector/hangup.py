"""Tells the end of the terminal from a request to reload: a process gets the signal SIGHUP for both."""

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
"""Seconds after the end of the terminal was seen in which a SIGHUP belongs to it.

A shell that gets the signal passes it on to its jobs, and may be slow to do so. The signal may also come first, and the
end of the terminal be seen by the next look.
"""


def has_terminal() -> bool:
    """Returns True if this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # it cannot be told; so nothing has changed
    return True


class Hangup:
    """The terminal of a reflector that was started by hand. Create it before a handler for SIGHUP is set.

    If SIGHUP is ignored at that time (nohup), or if there is no controlling terminal, each SIGHUP asks to reload. Each
    SIGHUP also asks to reload after the terminal has ended without one, as for a job that its shell has disowned.

    Args:
        has_terminal: returns True if this process has a controlling terminal.
        clock: returns monotonic seconds.

    Attributes:
        watching: True if there is a terminal whose end matters.
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
        """Checks whether the terminal has ended. Returns True if it has, and a SIGHUP came at about the same time."""
        if self.watching and not self._has_terminal():
            self.watching = False
            self._lost_at = self._clock()
        return EARLIEST <= self._signalled_at - self._lost_at <= LATEST

    def signalled(self) -> bool:
        """Call it for each SIGHUP. Returns True if it means the end of the terminal, False if it asks to reload."""
        self._signalled_at = self._clock()
        return self.look()

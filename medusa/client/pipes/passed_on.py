"""Decides which signals mlogin passes on to a command on pipes. No I/O; the time is passed in."""

from __future__ import annotations

import math
import signal

ENDING = frozenset((signal.SIGINT, signal.SIGTERM))
"""Signals that are passed on once. The next one of them ends mlogin, because the command may not react."""

OTHERS = frozenset((signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2))
"""Signals that are passed on each time."""


class PassedOn:
    """Decides which of mlogin's signals are passed on to the command.

    Args:
        delay: seconds. `is_double` is True for a SIGINT or SIGTERM that comes again within this time.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._asked: tuple[int, float] | None = None

    def is_double(self, number: int, now: float) -> bool:
        """Returns True if the same SIGINT or SIGTERM was passed on less than `delay` seconds ago.

        If True, the caller ignores the signal. For example, timeout(1) sends each signal twice: to mlogin, and then to
        mlogin's process group.

        Args:
            number: the signal's number.
            now: the time in monotonic seconds.
        """
        asked, at = self._asked or (0, -math.inf)
        return number == asked and now < at + self._delay

    def name(self, number: int, now: float) -> str | None:
        """Returns the name by which the signal is passed on, such as `INT`. None if it is not passed on.

        Of SIGINT and SIGTERM, only the first signal is passed on. Signals in OTHERS are passed on each time.

        Args:
            number: the signal's number.
            now: the time in monotonic seconds.
        """
        if number not in OTHERS:
            if number not in ENDING or self._asked is not None:
                return None
            self._asked = (number, now)
        return signal.Signals(number).name[3:]

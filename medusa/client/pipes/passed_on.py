"""The signals that mlogin passes on to a command on pipes. No I/O; the time is passed in."""

from __future__ import annotations

import math
import signal

ENDING = frozenset((signal.SIGINT, signal.SIGTERM))
"""Signals that are passed on once. The next one of them ends mlogin, because the command may not react."""

OTHERS = frozenset((signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2))
"""Signals that are passed on each time."""


class PassedOn:
    """Decides which signals are passed on.

    Args:
        delay: seconds after the first signal in ENDING before the same signal counts as a second one. timeout(1), for
            example, sends a signal to its child, and then to its process group, to which the child belongs.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._asked: tuple[int, float] | None = None

    def is_double(self, number: int, now: float) -> bool:
        """Returns True if the signal only repeats the last signal that asked the command to end.

        It does so if it has the same number and comes within a short time: timeout(1), for example, sends a
        signal to mlogin and again to mlogin's process group. `now`: the time in monotonic seconds.
        """
        asked, at = self._asked or (0, -math.inf)
        return number == asked and now < at + self._delay

    def name(self, number: int, now: float) -> str | None:
        """Returns the name to pass on, such as `INT`. None if the signal is not for the command, or not any more."""
        if number not in OTHERS:
            if number not in ENDING or self._asked is not None:
                return None
            self._asked = (number, now)
        return signal.Signals(number).name[3:]

"""The signals that mlogin passes on to a command on pipes."""

from __future__ import annotations

import signal

ENDING = frozenset((signal.SIGINT, signal.SIGTERM))
"""Signals of which only the first one is passed on. A second one ends mlogin, because the command may not react."""

OTHERS = frozenset((signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2))
"""Signals that are passed on each time."""


class PassedOn:
    """Decides which signals are passed on.

    Attributes:
        asked: True if the command was asked to end.
    """

    def __init__(self) -> None:
        self.asked = False

    def name(self, number: int) -> str | None:
        """Returns the name of a signal, such as `INT`, if it is to be passed on; otherwise None."""
        if number not in OTHERS:
            if number not in ENDING or self.asked:
                return None
            self.asked = True
        return signal.Signals(number).name[3:]

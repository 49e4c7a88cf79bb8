"""Decides in which rounds of a session's loop the times are checked, such as a keepalive. No I/O, no clock.

To check all times takes longer than to pass a key on. So that is not done in each round in which something happens.
"""

from __future__ import annotations

import math

CHECK_INTERVAL = 0.1
"""Seconds. After something has happened, the times are checked within this time: it may have changed them.

It is longer than the time after which bytes are acknowledged. So one round does both after a key.
"""


class Pace:
    """Decides in which rounds a loop checks its times.

    Attributes:
        at: the time of the next check.
    """

    def __init__(self) -> None:
        self.at = self._again = -math.inf

    def soon(self) -> None:
        """Makes the next round check the times. Call it if they have changed so that they cannot wait."""
        self.at = -math.inf

    def due(self, now: float, happened: bool) -> bool:
        """Returns True if the times must be checked in this round. Then check them, and call `checked`.

        Args:
            happened: True if something has happened. If not, a time has come.
        """
        again = now + CHECK_INTERVAL if happened else math.inf
        if not happened or now >= self.at:
            self._again = again
            return True
        self.at = min(self.at, again)
        return False

    def checked(self, at: float) -> None:
        """Notes that the times were checked in this round. `at`: the time at which something is due.

        If something has happened in this round, the next check comes soon: the round may not have acted on it yet.
        """
        self.at = min(at, self._again)

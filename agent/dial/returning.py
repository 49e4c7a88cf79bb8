"""Decides when to dial again after a link was lost. No I/O and no clock: the caller passes the time.

All times are in monotonic seconds.
"""

from __future__ import annotations

from typing import Callable

FIRST_INTERVAL = 0.25
"""Seconds between the first attempts, on average; it doubles with each further attempt."""
LONGEST_INTERVAL = 4.0
"""The maximum of the seconds between two attempts, on average."""


class Returning:
    """Decides when the agent dials the reflector again after it has lost its link.

    Args:
        now: the time at which the link was lost.
        hold: for how many seconds after the loss the reflector waits for the agent.
        jitter: a function that returns a random number in [0, 1), so that many agents that lost the same reflector dial
            at different times.

    Attributes:
        at: when to make the next attempt.
        until: the time until which the reflector waits.
    """

    def __init__(self, now: float, hold: float, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._interval = FIRST_INTERVAL
        self.at = now + FIRST_INTERVAL * jitter()
        self.until = now + hold

    def refused(self, now: float, retry_after: float = 0.0) -> None:
        """Sets the time of the next attempt, because one has failed.

        Args:
            retry_after: the seconds that the reflector has asked to wait at least; 0 if it has not asked.
        """
        self.at = now + retry_after + self._interval * (0.5 + self._jitter())
        self._interval = min(2 * self._interval, LONGEST_INTERVAL)

    def hurry(self, now: float) -> None:
        """Sets the next attempt to `now`. Call it if the machine has slept, or if there is little time left."""
        self.at, self._interval = now, FIRST_INTERVAL

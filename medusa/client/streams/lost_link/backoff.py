"""Decides how long to wait before the reflector is dialled again. No I/O; random numbers are passed in."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_DELAY = 0.1
"""Seconds before the first attempt, at most. The time is random, so that not all clients dial at the same moment."""

FIRST_INTERVAL = 0.25
"""Seconds between the first two attempts, on average; it doubles with each further attempt."""

MOST_FRUITLESS = 3
"""After so many links over which nothing has arrived, the first pause grows no more: it is 1 s, on average."""

LONGEST_INTERVAL = 8.0
"""The maximum of the seconds between two attempts, on average."""


class Backoff:
    """Computes the pauses before the attempts to come back. Each is longer than the one before, up to a limit.

    Args:
        jitter: a function that returns a random number in [0, 1).
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._interval = 0.0

    def next(self, retry_after: float = 0.0) -> float:
        """Returns the seconds to wait before the next attempt.

        Args:
            retry_after: the seconds that the reflector has asked to wait; 0 if it has not asked. They are added to the
                usual pause, which is random. So clients that get the same number dial at different times.
        """
        interval, self._interval = self._interval, min(2 * self._interval or FIRST_INTERVAL, LONGEST_INTERVAL)
        pause = interval * (0.5 + self._jitter()) if interval else FIRST_DELAY * self._jitter()
        return pause + retry_after

    def restart(self, fruitless: int = 0) -> None:
        """Begins with short pauses again. Call it after the agent has answered over a new link.

        Args:
            fruitless: how many links in a row were lost before anything has arrived over them. The more there are, the
                longer is the first pause. So a proxy that cuts each link at once is not dialled many times a second.
        """
        self._interval = FIRST_INTERVAL * 2 ** (min(fruitless, MOST_FRUITLESS) - 1) if fruitless else 0.0

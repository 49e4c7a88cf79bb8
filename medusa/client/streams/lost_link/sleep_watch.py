"""Finds out that this machine has slept. Its links are probably dead then."""

from __future__ import annotations

import time
from collections.abc import Callable

MIN_SLEEP = 5.0
"""Seconds. A shorter sleep counts as none, because a link survives it."""

INTERVAL = 5.0
"""Seconds between two looks. A machine that wakes dials after this time at the latest."""


def _asleep() -> float:
    """Returns for how many seconds this machine has slept since it was started; 0.0 if the system does not say."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_time is None:
        return 0.0
    return time.clock_gettime(boot_time) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SleepWatch:
    """Finds out that this machine has slept, by two clocks: one of them stops while the machine sleeps.

    Args:
        asleep: a function that returns the difference of the two clocks, in seconds.
    """

    def __init__(self, asleep: Callable[[], float] = _asleep) -> None:
        self._asleep = asleep
        self._before = asleep()

    def slept(self) -> bool:
        """Returns True if the machine has slept since the last call."""
        before, self._before = self._before, self._asleep()
        return self._before - before >= MIN_SLEEP

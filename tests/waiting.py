"""Waiting without sleeping blindly: one unit of time, a deadline, and polling a condition until it holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MS = 0.001 * float(os.environ.get("TESTS_TIMEOUT_FACTOR", "1"))
"""Seconds in a millisecond of test time; TESTS_TIMEOUT_FACTOR stretches it on a slow machine."""

PATIENCE = 60_000 * MS
"""Seconds that a test waits for what must come: a hundred times what it takes, so that a loaded machine fails no test.

Only a test that fails anyway takes so long.
"""

POLL = 5 * MS
LONGEST_POLL = 100 * MS


class Clock:
    """Seconds that pass when a test says so; also in place of the module `time`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    __call__ = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Deadline:
    """A point in time that is common to several steps of a test."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds from now, never negative: fit for any `timeout` parameter."""
        return max(0.0, self._at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left == 0.0


def wait_until(
    condition: Callable[[], T],
    what: str = "",
    seconds: float = PATIENCE,
    nap: Callable[[float], object] = time.sleep,
) -> T:
    """Calls `condition` until its result is true, and returns the result.

    For things that give no event to wait for, such as another program's process or file. The pauses between the calls
    grow to a tenth of the time that has passed, because a condition may cost much, such as the start of a program.

    Args:
        what: a name for the error message.
        seconds: how long the condition may stay false.
        nap: called between two calls of `condition`, with seconds; lets other threads or greenlets run.

    Raises:
        AssertionError: the condition was still false after `seconds`.
    """
    begun, deadline, late = time.monotonic(), Deadline(seconds), False
    while not (value := condition()):
        if late:
            raise AssertionError(f"still waiting for {what or condition} after {seconds:g} s")
        nap(min(max(POLL, (time.monotonic() - begun) / 10), LONGEST_POLL))
        late = deadline.passed  # call once more after the deadline: this process may have been suspended
    return value

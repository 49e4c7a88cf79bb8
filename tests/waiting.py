"""Waiting without sleeping blindly: one unit of time, a deadline, and polling a condition until it holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MS = 0.001 * float(os.environ.get("TESTS_TIMEOUT_FACTOR", "1"))
"""Seconds in a millisecond of test time; TESTS_TIMEOUT_FACTOR stretches it on a slow machine."""

PATIENCE = 10_000 * MS
"""How long a test waits for what must come: far more than it takes, as a loaded machine must not fail it."""

POLL = 5 * MS


class Deadline:
    """A point in time that several steps of a test spend together."""

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
    """Calls `condition` until what it returns is true, and returns that.

    For what gives no event to wait for, such as a process or a file of somebody else. Raises AssertionError, naming
    `what`, when it did not become true within `seconds`. `nap` lets others run between two looks.
    """
    deadline, late = Deadline(seconds), False
    while not (value := condition()):
        if late:
            raise AssertionError(f"still waiting for {what or condition} after {seconds:g} s")
        nap(POLL)
        late = deadline.passed  # judged by a look that begins after it: this process may have stood still
    return value

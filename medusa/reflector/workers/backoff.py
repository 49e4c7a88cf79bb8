"""When to start again what has ended. No I/O, no clock."""

from __future__ import annotations

STEADY = 10.0
"""Seconds: who lived for so long did not fail at its start."""

FIRST, LONGEST = 0.1, 10.0


class Backoff:
    """At once the first time, then later and later for as long as it keeps dying young."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, lived: float) -> float:
        """Seconds to wait now that it has ended after `lived` seconds."""
        if lived >= STEADY:
            self._failures = 0
        self._failures += 1
        return 0.0 if self._failures == 1 else min(LONGEST, FIRST * 2.0 ** (self._failures - 2))

"""How long a linked session may go on: idle, and in all. Told of before it strikes."""

from __future__ import annotations

import math

from medusa.reflector.config import ReflectorConfig
from medusa.session import Input

NOTICE = 60.0
"""Seconds from the announcement to the end; half of a limit that is shorter than two of these."""


class Patience:
    """One linked session's. Times are in seconds, monotonic; `active` is when the last terminal byte passed."""

    def __init__(self, config: ReflectorConfig, now: float) -> None:
        self._idle, self._longest = config.idle_timeout or math.inf, config.max_duration or math.inf
        self._begun = now
        self._told_of_end = False
        self._told_of_idleness = -math.inf  # the `active` that it was told for

    def due(self, now: float, active: float) -> Input | None:
        """What is to happen now. Call again until it is None."""
        end, idle_end = self._ends(active)
        if now >= end:
            return Input.DURATION_EXPIRED
        if now >= idle_end:
            return Input.IDLE_EXPIRED
        if now >= end - lead(self._longest) and not self._told_of_end:
            self._told_of_end = True
            return Input.DURATION_NOTICE
        if now >= idle_end - lead(self._idle) and self._told_of_idleness != active:
            self._told_of_idleness = active
            return Input.IDLE_NOTICE
        return None

    def deadline(self, active: float) -> float:
        """When to ask again, if nothing happens before."""
        end, idle_end = self._ends(active)
        if not self._told_of_end:
            end -= lead(self._longest)
        if self._told_of_idleness != active:
            idle_end -= lead(self._idle)
        return min(end, idle_end)

    def left(self, now: float, active: float) -> tuple[float, float]:
        """Seconds to (the end, the end by idleness)."""
        end, idle_end = self._ends(active)
        return end - now, idle_end - now

    def _ends(self, active: float) -> tuple[float, float]:
        return self._begun + self._longest, active + self._idle


def lead(limit: float) -> float:
    """How long before it a limit is told of."""
    return min(NOTICE, limit / 2)

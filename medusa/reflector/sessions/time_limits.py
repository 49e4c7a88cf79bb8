"""How long a linked session may last: without a terminal byte, and in all. Pure: the time is passed in.

Times are in seconds of one monotonic clock. `active` is when the last terminal byte passed.
"""

from __future__ import annotations

import math

from medusa.session import Input

NOTICE = 60.0
"""Seconds from the notice to the end; half of a limit that is shorter than two of these."""


class TimeLimits:
    """The limits of one linked session; 0 for none.

    Args:
        now: when the two sides were linked.
    """

    __slots__ = ("_duration", "_duration_noticed", "_idle", "_idle_noticed_for", "_linked")

    def __init__(self, idle_timeout: float, max_duration: float, now: float) -> None:
        self._idle, self._duration = idle_timeout or math.inf, max_duration or math.inf
        self._linked = now
        self._duration_noticed = False
        self._idle_noticed_for = -math.inf  # the `active` that the last notice was about

    def due(self, now: float, active: float) -> Input | None:
        """The notice, or the end, that is due now. Call until it returns None, or an end."""
        end, idle_end = self._ends(active)
        if now >= end:
            return Input.DURATION_EXPIRED
        if now >= idle_end:
            return Input.IDLE_EXPIRED
        if now >= end - lead(self._duration) and not self._duration_noticed:
            self._duration_noticed = True
            return Input.DURATION_NOTICE
        if now >= idle_end - lead(self._idle) and self._idle_noticed_for != active:
            self._idle_noticed_for = active
            return Input.IDLE_NOTICE
        return None

    def deadline(self, active: float) -> float:
        """When to call `due` next, if no terminal byte passes before."""
        end, idle_end = self._ends(active)
        if not self._duration_noticed:
            end -= lead(self._duration)
        if self._idle_noticed_for != active:
            idle_end -= lead(self._idle)
        return min(end, idle_end)

    def left(self, now: float, active: float) -> tuple[float, float]:
        """Seconds to (the end by duration, the end by idleness)."""
        end, idle_end = self._ends(active)
        return end - now, idle_end - now

    def _ends(self, active: float) -> tuple[float, float]:
        return self._linked + self._duration, active + self._idle


def lead(limit: float) -> float:
    """Seconds before its end at which the notice of `limit` is due."""
    return min(NOTICE, limit / 2)

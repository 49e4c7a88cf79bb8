"""How long the job system lets a job run: what the user is told before that is over."""

from __future__ import annotations

import math
from collections.abc import Callable

from medusa.client.launchers.base import JobState

WARNINGS = (300.0, 60.0)
"""Seconds before the job's end at which the user is told."""

SLACK = 30.0
"""Seconds by which a job's end must move for the same warning to be told again: job systems round."""


class WalltimeNotices:
    """Tells each warning once; again if the job was given more time meanwhile."""

    def __init__(self, poll: Callable[[], JobState], interval: float) -> None:
        self._poll = poll
        self._interval = interval
        self._told = math.inf

    def warning(self, now: float) -> str | None:
        """What to tell the user now, if anything."""
        left = seconds_left(self._poll(), now)
        if left is None:
            return None
        if left > self._told + SLACK:
            self._told = math.inf
        level = min((warning for warning in WARNINGS if left <= warning), default=math.inf)
        if level >= self._told:
            return None
        self._told = level
        return f"the job's time is over in {words(left)}; what runs then is ended"

    def patience(self, now: float) -> float:
        """Seconds until warning() wants to be called again."""
        left = seconds_left(self._poll(), now)
        due = [left - warning for warning in WARNINGS if left is not None and left > warning]
        return min([self._interval, *due])


def seconds_left(state: JobState, now: float) -> float | None:
    return None if state.ends_at is None else max(0.0, state.ends_at - now)


def words(seconds: float) -> str:
    """`2 d 3 h`, `1 h 5 min`, `4 min 58 s`, `58 s`: the two greatest units."""
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0 s"

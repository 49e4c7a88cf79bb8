"""How long the job system lets a job run, and the notices before that time is over."""

from __future__ import annotations

import math
from collections.abc import Callable

from medusa.client.launchers.base import JobState

NOTICES = (300.0, 60.0)
"""Seconds before the job's end at which the user gets a notice."""

SLACK = 30.0
"""Seconds by which the job's end must move for the same notice to be given again: job systems round."""


class WalltimeNotices:
    """Gives each notice once, and again if the job got more time meanwhile.

    Args:
        poll: the state of the job.
        interval: seconds between two calls of `poll`: the time of a job can change while it runs.

    Attributes:
        deadline: when `check` must be called, by time.monotonic's clock, as JobState.ends_at.
    """

    def __init__(self, poll: Callable[[], JobState], interval: float) -> None:
        self._poll = poll
        self._interval = interval
        self._given = math.inf
        self.deadline = -math.inf

    def check(self, now: float) -> str | None:
        """The notice that is due, if any. Before `deadline` it does nothing."""
        if now < self.deadline:
            return None
        left = seconds_left(self._poll(), now)
        self.deadline = now + self._interval
        if left is None:
            return None
        self.deadline = min([self.deadline, *(now + left - notice for notice in NOTICES if left > notice)])
        return self._notice(left)

    def _notice(self, left: float) -> str | None:
        if left > self._given + SLACK:
            self._given = math.inf
        due = min((notice for notice in NOTICES if left <= notice), default=math.inf)
        if due >= self._given:
            return None
        self._given = due
        return f"the job's time is over in {words(left)}; what runs then is ended"


def seconds_left(state: JobState, now: float) -> float | None:
    """Seconds until the job system ends the job; None if it does not, or if that is not known."""
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

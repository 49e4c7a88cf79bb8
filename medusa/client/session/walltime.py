"""Makes notices for the user: the job system has suspended the job, or will soon end it."""

from __future__ import annotations

import math
from collections.abc import Callable

from medusa.client.launchers.base import JobState

NOTICES = (300.0, 60.0)
"""The user gets a notice this many seconds before the job's time is over."""

SLACK = 30.0
"""Seconds by which the remaining time must exceed that of the last notice, so that notices are given again.

A smaller difference may be due to rounding.
"""


class WalltimeNotices:
    """Makes the notices for the user about one job. Each notice is given once.

    If the job gets more time, the notices about its remaining time are given again.

    Args:
        poll: a function that returns the state of the job.
        interval: seconds between two calls of `poll`. The time of a job can change while it runs.

    Attributes:
        deadline: the time at which to call `check`, in seconds of time.monotonic.
    """

    def __init__(self, poll: Callable[[], JobState], interval: float) -> None:
        self._poll = poll
        self._interval = interval
        self._given = math.inf
        self._told_halted = False
        self.deadline = -math.inf

    def check(self, now: float) -> str | None:
        """Returns the text of the notice that is due now; None if none is due. Does nothing before `deadline`."""
        if now < self.deadline:
            return None
        state = self._poll()
        left = seconds_left(state, now)
        self.deadline = now + self._interval
        if state.halted and not self._told_halted:
            self._told_halted = True
            return f"the job system has stopped the job's programs for now: {state.words}"
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
    """Returns the seconds until the job system ends the job. None if the job has no time limit or an unknown one."""
    return None if state.ends_at is None else max(0.0, state.ends_at - now)


def words(seconds: float) -> str:
    """Returns a time in words, in its two greatest units: `2 d 3 h`, `1 h 5 min`, `4 min 58 s`, `58 s`."""
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0 s"

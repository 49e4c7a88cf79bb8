"""Finds out that the agent does not answer, although the reflector does, or that the job has ended.

No I/O; the time is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable

WATCH_INTERVAL = 1.0
"""Seconds between two questions whether the job has ended."""

WATCH_GRACE = 2.0
"""Seconds after the loss until the first question. Before that, the reflector may say how the session has ended."""


class JobSilence:
    """Decides when to tell the user that the job is silent: bytes were sent to the agent, and nothing has come back.

    The job counts as silent only if the reflector has given a sign of life meanwhile. Otherwise the link may be dead.

    Args:
        timeout: seconds of silence after which the user is told.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._last = (0, 0)
        self._since: float | None = None
        self._told = False

    def check(self, now: float, waits: bool, acknowledged: int, received: int, heard: float) -> str:
        """Returns a text that says that the job is silent, or that it answers again; "" if there is nothing to tell.

        Args:
            waits: True if bytes were sent that are not acknowledged.
            acknowledged: the number of bytes that the agent has acknowledged.
            received: the number of bytes that have come from the agent.
            heard: the time of the reflector's last sign of life.
        """
        last, self._last = self._last, (acknowledged, received)
        if self._last != last or not waits:
            since, told = self._since, self._told
            self._since, self._told = (now if waits else None), False
            return f"the job answers again after {now - since:.0f} s" if told and since is not None else ""
        if self._since is None:
            self._since = now
        if self._told or now < self._since + self._timeout or heard <= self._since:
            return ""
        self._told = True
        return f"no word from the job for {now - self._since:.0f} s; the reflector answers"

    @property
    def silent(self) -> bool:
        """True if the user was told that the job is silent."""
        return self._told

    def deadline(self, waits: bool, heard: float) -> float | None:
        """Returns the time at which to call `check` next; None for never, unless something comes from the reflector.

        For the arguments see `check`.
        """
        if not waits or self._since is None or self._told or heard <= self._since:
            return None
        return self._since + self._timeout

    def restart(self) -> None:
        """Starts to measure the silence anew, and tells the user nothing. Call it after the link is lost."""
        self._since, self._told = None, False


class JobWatch:
    """Asks from time to time whether the job has ended, while the link is lost or the job is silent.

    Attributes:
        deadline: the time at which to call `check` next; infinite if there is no reason to ask.
    """

    def __init__(self) -> None:
        self.deadline = math.inf

    def begin(self, now: float) -> None:
        """Starts to ask whether the job has ended. Call it when the link was lost, or the job has become silent."""
        self.deadline = now + WATCH_GRACE

    def check(self, now: float, over: Callable[[], bool]) -> bool:
        """Calls `over` if `deadline` has passed. Returns True if `over` says that the job has ended."""
        if now < self.deadline:
            return False
        self.deadline = now + WATCH_INTERVAL
        return over()

    def end(self) -> None:
        """Stops asking. Call it if the link is back, or if nobody waits for it any more."""
        self.deadline = math.inf

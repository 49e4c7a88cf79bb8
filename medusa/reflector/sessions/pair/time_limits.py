"""Limits how long a linked session may be idle, how long it may last, and how long it may go on during a drain.

A session is idle while no terminal byte passes. A drain is the time from the order to stop the reflector until all
sessions have ended. No I/O: the time is passed in. All times are in seconds of one monotonic clock. The argument
`active` is the time at which the last terminal byte passed.
"""

from __future__ import annotations

import math

from medusa.session import Input

NOTICE = 60.0
"""Seconds from the notice to the user until the session's end. For a limit below 2 * NOTICE: half of the limit."""

DRAIN_NOTICES = (60.0, 10.0)
"""Seconds before the end of a drain at which the user gets a further notice. See DrainNotices for short drains."""

SHORTEST_NOTICE = 0.5
"""The shortest time from a notice to the end of a drain, in seconds. Nobody could read a later notice in time."""


class TimeLimits:
    """Limits how long one linked session may be idle, and how long it may last.

    Args:
        idle_timeout: the longest time without terminal input or output; 0 for no limit.
        max_duration: the longest time after client and agent were linked; 0 for no limit.
        now: the time at which they were linked.
    """

    __slots__ = ("_duration", "_duration_noticed", "_idle", "_idle_noticed_for", "_linked")

    def __init__(self, idle_timeout: float, max_duration: float, now: float) -> None:
        self._idle, self._duration = idle_timeout or math.inf, max_duration or math.inf
        self._linked = now
        self._duration_noticed = False
        self._idle_noticed_for = -math.inf  # the value of `active` at the last notice

    def due(self, now: float, active: float) -> Input | None:
        """Returns the input (event) that is due now: a notice to the user, or the end of the session (..._EXPIRED).

        Returns None if no input is due. After a notice, call this again at once: another input may be due as well.
        """
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
        """Returns the time at which to call `due` next, if no terminal input or output passes until then."""
        end, idle_end = self._ends(active)
        if not self._duration_noticed:
            end -= lead(self._duration)
        if self._idle_noticed_for != active:
            idle_end -= lead(self._idle)
        return min(end, idle_end)

    def left(self, now: float, active: float) -> tuple[float, float]:
        """Returns (seconds until the maximum duration ends the session, seconds until the idle timeout ends it)."""
        end, idle_end = self._ends(active)
        return end - now, idle_end - now

    def _ends(self, active: float) -> tuple[float, float]:
        return self._linked + self._duration, active + self._idle


class DrainNotices:
    """Decides when to tell a user that the session ends because its reflector stops, and when to end it.

    The first notice is due at once, the others 60 s and 10 s before the session ends. If one of these two would come
    within the first third of the time from `now` to `end`, it is left out. If both are left out, a notice is due after
    half of this time. A notice less than SHORTEST_NOTICE before the end is left out too.

    Args:
        end: the time at which the session ends.
        now: the current time.
        words: the reason, as a text for the user.

    Attributes:
        end, words: the arguments.
    """

    __slots__ = ("_times", "end", "words")

    def __init__(self, end: float, now: float, words: str = "") -> None:
        self.end, self.words = end, words
        whole = end - now
        leads = [lead for lead in DRAIN_NOTICES if whole >= 1.5 * lead] or [whole / 2]
        self._times = [
            at for at, left in [(now, whole), *((end - lead, lead) for lead in leads)] if left >= SHORTEST_NOTICE
        ]

    def due(self, now: float) -> Input | None:
        """Returns the input (event) that is due now: a notice to the user, or the end of the session.

        Returns None if no input is due.
        """
        if now >= self.end:
            return Input.SHUTDOWN
        if not self._times or now < self._times[0]:
            return None
        self._times = [at for at in self._times if at > now]
        return Input.DRAIN_NOTICE

    def deadline(self) -> float:
        """Returns the time at which to call `due` next."""
        return min(self._times, default=self.end)


def lead(limit: float) -> float:
    """Returns how many seconds before the end of a time limit the user gets a notice. `limit`: the limit in seconds."""
    return min(NOTICE, limit / 2)

"""Decides how long the session of a failed step of the job waits for users. No I/O; the caller passes the time."""

from __future__ import annotations

from typing import Callable

LOG_INTERVAL = 60.0
"""Seconds between two log lines about the time that is left."""


class HoldTime:
    """The time for which the session of a failed step is kept, even while no user is there.

    Args:
        until: the end of this time, in monotonic seconds.
        now: the present time, in monotonic seconds.
        release: True to end the time sooner: as soon as a user ends a command on a terminal, for example by `exit`.
        greeting: a function that returns the bytes that each user is shown first. Its argument is the number of seconds
            that are left.
    """

    def __init__(self, until: float, now: float, *, release: bool, greeting: Callable[[float], bytes]) -> None:
        self.until, self.release = until, release
        self._greeting = greeting
        self._log_at = now + LOG_INTERVAL

    def greet(self, now: float) -> bytes:
        """Returns the bytes to show a user first."""
        return self._greeting(max(0.0, self.until - now))

    def over(self, now: float, exits: int, *, kept: bool) -> bool:
        """True if the time is over.

        Args:
            exits: the number of commands on terminals that have ended.
            kept: True if a terminal or a stream is kept for a client that may come back.
        """
        return now >= self.until or (self.release and exits > 0 and not kept)

    def deadline(self) -> float:
        """Returns the time at which to call `news` or `over` next."""
        return min(self.until, self._log_at)

    def news(self, now: float) -> str:
        """Returns a line for the log about the time that is left, about once in LOG_INTERVAL. Otherwise returns ""."""
        if not self._log_at <= now < self.until:
            return ""
        self._log_at = now + LOG_INTERVAL
        return "holding for another %.0f s" % (self.until - now)

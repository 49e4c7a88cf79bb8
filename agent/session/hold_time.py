"""How long a failed step is held for users, and what ends that time before. No I/O; the caller passes the time."""

from __future__ import annotations

from typing import Callable

LOG_INTERVAL = 60.0
"""Seconds between two log lines about the time that is left."""


class HoldTime:
    """The time for which the session of a failed step lives, also without a client.

    Args:
        until: the end of this time, in monotonic seconds.
        now: the present time.
        release: True if the time is over as soon as a user leaves by the end of the command on a terminal (`exit`).
        greeting: a function that returns the bytes that each user is shown first. Its argument is the number of seconds
            that are left.
    """

    def __init__(self, until: float, now: float, *, release: bool, greeting: Callable[[float], bytes]) -> None:
        self.until, self.release = until, release
        self._greeting = greeting
        self._log_at = now + LOG_INTERVAL

    def greet(self, now: float) -> bytes:
        """Returns the bytes that a user is shown first."""
        return self._greeting(max(0.0, self.until - now))

    def over(self, now: float, exits: int, *, kept: bool) -> bool:
        """True if the time is over.

        Args:
            exits: how many commands on terminals have ended.
            kept: True if a client may come back to something.
        """
        return now >= self.until or (self.release and exits > 0 and not kept)

    def deadline(self) -> float:
        """Returns when to call `news` or `over` next."""
        return min(self.until, self._log_at)

    def news(self, now: float) -> str:
        """Returns a line for the log if it is time for one; otherwise ""."""
        if not self._log_at <= now < self.until:
            return ""
        self._log_at = now + LOG_INTERVAL
        return "holding for another %.0f s" % (self.until - now)

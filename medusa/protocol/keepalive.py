"""When to ping a peer and when to give it up. No clock: the time, in seconds of any monotonic clock, is passed in."""

from __future__ import annotations

import enum

PATIENCE = 3
"""A peer silent for this many intervals is lost."""


class Verdict(enum.Enum):
    """What `Keepalive.check` says."""

    OK = "nothing to do"
    PING = "ping the peer now"
    LOST = "give the peer up"


class Keepalive:
    """One peer's signs of life. Any received byte counts.

    Args:
        interval: seconds of silence after which to ping, and again after each further one.
        now: the time.
        idle_sender: also ping when this end has sent nothing for an interval, for the sake of a peer that judges
            by what it hears and may not be answered because it is not being read.
    """

    def __init__(self, interval: float, now: float, idle_sender: bool = False) -> None:
        self.interval = interval
        self._heard = self._asked = now
        self._sent = now if idle_sender else None

    def heard(self, now: float) -> None:
        """Bytes came from the peer, or this end is deliberately not reading it and may not judge it."""
        self._heard = self._asked = now

    def sent(self, now: float) -> None:
        """Bytes went to the peer."""
        if self._sent is not None:
            self._sent = now

    def check(self, now: float) -> Verdict:
        """What is due. After PING the next is due an interval later.

        Called later than `deadline` by an interval or more, the judge stood still, and may have read nothing of what
        has come: the peer has one more interval.
        """
        if now >= self.deadline() + self.interval:
            self._heard = max(self._heard, now - (PATIENCE - 1) * self.interval)
        if now - self._heard >= PATIENCE * self.interval:
            return Verdict.LOST
        if now < self.deadline():
            return Verdict.OK
        self._asked = now
        self.sent(now)
        return Verdict.PING

    def deadline(self) -> float:
        """When to call `check` next."""
        ping = self._asked if self._sent is None else min(self._asked, self._sent)
        return min(ping + self.interval, self._heard + PATIENCE * self.interval)

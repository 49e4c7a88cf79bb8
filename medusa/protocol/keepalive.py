"""When to ping a peer and when it is lost. No clock: times, in seconds of any monotonic clock, are passed in."""

from __future__ import annotations

import enum

LOST_AFTER = 3
"""A peer that is silent for this many intervals is lost."""


class Verdict(enum.Enum):
    """What `Keepalive.check` says."""

    OK = "nothing to do"
    PING = "ping the peer now"
    LOST = "the peer is lost: end the link"


class Keepalive:
    """One peer's signs of life.

    Call `received` and `sent` as bytes pass, and `check` at `deadline`; then do what the verdict says.

    Args:
        interval: seconds of silence after which to ping, and again after each further one.
        now: the time.
        idle_sender: also ping if this end has sent nothing for an interval, for a peer that judges by what it receives
            and whose own pings may wait unread here.
    """

    def __init__(self, interval: float, now: float, idle_sender: bool = False) -> None:
        self.interval = interval
        self._received = self._asked = now
        self._sent = now if idle_sender else None

    def received(self, now: float) -> None:
        """Bytes came from the peer; or this end does not read it on purpose, and so cannot judge it."""
        self._received = self._asked = now

    def sent(self, now: float) -> None:
        """Bytes went to the peer."""
        if self._sent is not None:
            self._sent = now

    def check(self, now: float) -> Verdict:
        """What is due. After PING the next is due an interval later.

        If this call comes at least one interval late, this process was suspended and may not have read what came: the
        peer has one more interval before it is lost.
        """
        if now >= self.deadline() + self.interval:
            self._received = max(self._received, now - (LOST_AFTER - 1) * self.interval)
        if now - self._received >= LOST_AFTER * self.interval:
            return Verdict.LOST
        if now < self.deadline():
            return Verdict.OK
        self._asked = now
        self.sent(now)
        return Verdict.PING

    def deadline(self) -> float:
        """When to call `check` next."""
        ping = self._asked if self._sent is None else min(self._asked, self._sent)
        return min(ping + self.interval, self._received + LOST_AFTER * self.interval)

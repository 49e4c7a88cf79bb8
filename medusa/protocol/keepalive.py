"""Decides when to ping a silent peer, and when the peer counts as lost.

Reads no clock: the caller passes the time, in seconds of any monotonic clock.
"""

from __future__ import annotations

import enum
from typing import Optional

LOST_AFTER = 3
"""A peer counts as lost after this many intervals of silence (see Keepalive)."""


class Verdict(enum.Enum):
    """The result of `Keepalive.check`: what the caller has to do."""

    OK = "nothing to do"
    PING = "ping the peer now"
    LOST = "the peer is lost: end the link"


class Keepalive:
    """The keepalive of one peer: remembers when the peer last gave a sign of life.

    Call `received` when bytes have come, and `sent` when bytes were sent. Call `check` at the time that `deadline()`
    returns, and carry out the Verdict that `check` returns.

    Args:
        interval: seconds of silence before the first ping, and between two pings.
        now: the current time.
        idle_sender: True to ping the peer also if this end has sent nothing for an interval. An end needs this if it
            sometimes stops reading. Then it does not answer the peer's pings, and its own pings are the only sign that
            it lives.
        answer_timeout: seconds for the peer to give a sign of life after each ping; None: it has all three intervals.
    """

    __slots__ = ("_answer_by", "_answer_timeout", "_asked", "_asks", "_received", "_sent", "_timeout", "interval")

    def __init__(
        self, interval: float, now: float, idle_sender: bool = False, answer_timeout: Optional[float] = None
    ) -> None:
        self.interval, self._answer_timeout = interval, answer_timeout
        self._received = self._asked = now
        self._sent = now if idle_sender else None
        self._answer_by: Optional[float] = None  # the peer counts as lost then, unless it gives a sign of life
        self._timeout = 0.0  # how much time the peer was given for that
        self._asks = False  # a ping is due at once

    def suspect(self, now: float, timeout: float) -> None:
        """Makes the next `check` return PING, and gives the peer `timeout` seconds for a sign of life.

        If no sign of life comes in this time, `check` returns LOST. Call this if there is a reason to believe that
        the peer is lost, and then call `check`. A second call does nothing until the peer has given a sign of life.
        """
        if self._answer_by is None:
            self._answer_by, self._timeout, self._asks = now + timeout, timeout, True

    def received(self, now: float) -> None:
        """Notes a sign of life from the peer. Call it when bytes have come.

        Call it also while this end does not read: bytes from the peer may be waiting, so the peer must not count as
        silent.
        """
        self._received = self._asked = now
        self._answer_by, self._asks = None, False

    @property
    def limit(self) -> float:
        """The number of seconds of silence after which the peer counts as lost."""
        return LOST_AFTER * self.interval if self._answer_by is None else self._timeout

    @property
    def asked(self) -> float:
        """The time from which the interval until the next ping is counted.

        This is the time of the last ping, sign of life, or call of `alive_since`, whichever is the latest.
        """
        return self._asked

    def alive_since(self, then: float, now: float) -> None:
        """Notes that the peer was alive at the time `then`, although no bytes came from it.

        Call this before `check` if the peer cannot answer pings now. The next ping is due one interval after `now`.
        """
        self._received = max(self._received, then)
        self._asked = now

    def sent(self, now: float) -> None:
        """Notes that this end has sent bytes to the peer."""
        if self._sent is not None:
            self._sent = now

    def check(self, now: float) -> Verdict:
        """Returns what the caller has to do now. After PING, the next ping is due one interval later.

        If this call comes at least one interval after `deadline()`, this process was suspended, and bytes from the peer
        may be waiting. In this case the peer gets at least one more interval before it counts as lost.
        """
        due = self.deadline()
        if now < due:
            return Verdict.OK
        if now >= due + self.interval:
            self._received = max(self._received, now - (LOST_AFTER - 1) * self.interval)
            if self._answer_by is not None:
                self._answer_by, self._asks = max(self._answer_by, now + self.interval), True
        late = self._answer_by is not None and now >= self._answer_by
        if late or now - self._received >= LOST_AFTER * self.interval:
            return Verdict.LOST
        if now < self.deadline():
            return Verdict.OK
        if self._answer_timeout is not None:
            self.suspect(now, self._answer_timeout)
        self._asked, self._asks = now, False
        self.sent(now)
        return Verdict.PING

    def deadline(self) -> float:
        """Returns the time at which to call `check` next. If a ping is due at once, this time is not in the future."""
        ping = self._asked if self._sent is None else min(self._asked, self._sent)
        due = min(ping + self.interval, self._received + LOST_AFTER * self.interval)
        if self._answer_by is None:
            return due
        return min(due, self._asked if self._asks else self._answer_by)

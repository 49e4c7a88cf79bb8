"""Pings a silent reflector, and tells the user for how long it has been silent."""

from __future__ import annotations

import math
from collections.abc import Callable

from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.messages import Ping
from medusa.transports.link import KEEPALIVE_INTERVAL, Link, LinkLost, Loss

MIN_PULSE_TIMEOUT = 3.0
"""While mlogin waits for its agent, it sends the reflector a ping if it has received nothing for this many seconds.

A shorter time makes no sense, because during that wait the reflector sends a message every 2 s of its own accord. The
time is longer if `ask_interval` is longer.
"""


class Silence:
    """Decides when to send a ping to a silent reflector, and what to tell the user about the silence. No I/O.

    The reflector gets such pings only while somebody uses the session. At other times the link's keepalive suffices,
    which sends pings at longer intervals. All times are in seconds of one clock, which the caller chooses.

    Args:
        now: the current time.
        waiting: True while mlogin waits for its agent. Then the session counts as used all the time.

    Attributes:
        deadline: the time at which to call `check` next.
    """

    def __init__(self, now: float, timeouts: Timeouts = DEFAULT_TIMEOUTS, *, waiting: bool = False) -> None:
        self._ask_interval = max(timeouts.ask_interval, MIN_PULSE_TIMEOUT if waiting else 0.0)
        self._timeout = max(timeouts.silence_timeout, self._ask_interval)
        self._attention = math.inf if waiting else timeouts.attention_timeout
        self._used_until = now + self._attention
        self._heard = now
        self._asked = math.inf  # infinite: not asked since the last sign of life
        self._told = False
        self.deadline = now + self._ask_interval

    def restart(self, now: float) -> None:
        """Starts to measure the silence anew, and tells the user nothing. Call it after the link is lost."""
        self._heard, self._asked, self._told = now, math.inf, False
        self.deadline = now + self._ask_interval

    def is_lost(self, now: float) -> bool:
        """Returns True if the reflector is still silent, the user was told so, and somebody uses the session."""
        return self._told and now < self._used_until

    def used(self, now: float) -> None:
        """Notes that somebody uses the session. Call this after the user has typed something or was shown something."""
        self._used_until = now + self._attention

    def check(self, now: float, heard: float) -> tuple[bool, str]:
        """Returns a pair: True to send the reflector a ping now, and a text for the user ("" for none).

        Args:
            heard: the time at which something was last received from the reflector.
        """
        ask, words = False, ""
        if heard > self._heard:
            if self._told:
                words = f"the reflector is back after {heard - self._heard:.0f} s"
            self._heard, self._asked, self._told = heard, math.inf, False
        ask_at = self._ask_at()
        if self._asked == math.inf and now >= ask_at:
            self._asked = now
            ask = now < self._used_until
        # If this process was stopped, the answer may come at any moment: so the time since the question counts too.
        tell_at = max(self._heard + self._timeout, self._asked + self._timeout - self._ask_interval)
        if now >= tell_at and not self._told:
            self._told = True
            words = f"no word from the reflector for {now - self._heard:.0f} s"
        self.deadline = math.inf if self._told else min(tell_at, ask_at if self._asked == math.inf else math.inf)
        return ask, words

    def _ask_at(self) -> float:
        soon = self._heard + self._ask_interval
        return soon if soon < self._used_until else self._heard + KEEPALIVE_INTERVAL


class SilenceWatch:
    """Watches one link: pings a silent reflector, and tells the user of its silence.

    Args:
        silence: decides when to do so.
        tell: a function that shows a text to the user.
    """

    def __init__(self, link: Link, silence: Silence, tell: Callable[[str], None]) -> None:
        self._link, self._silence, self._tell = link, silence, tell
        self._traffic = (link.sent, link.received)

    @property
    def deadline(self) -> float:
        """The time at which to call `check` next."""
        return self._silence.deadline

    def restart(self, now: float) -> None:
        """Starts to measure the silence anew, and tells the user nothing. Call it after the link is lost."""
        self._silence.restart(now)

    def check(self, now: float, *, waits: bool = False, lasting: bool = False) -> None:
        """Pings the reflector if a ping is due. Tells the user how long the reflector is silent if that is due.

        Args:
            waits: True if bytes were sent that are not acknowledged. Then the session counts as used.
            lasting: True if the session can go on over a new link. If somebody uses such a session, a silent link is
                given up as soon as the user was told of the silence.

        Raises:
            LinkLost: the link has ended, or was given up.
        """
        if waits:
            self._silence.used(now)
        if self._traffic != (traffic := (self._link.sent, self._link.received)):
            self._traffic = traffic
            self._silence.used(now)
        ask, words = self._silence.check(now, self._link.heard)
        if words:
            self._tell(words)
        if lasting and self._silence.is_lost(now):
            raise LinkLost(Loss.SILENT)
        if ask and self._link.clear:
            self._link.queue(Ping())

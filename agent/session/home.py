"""Keeps the agent's home link, by which the reflector calls the agent to clients.

If the link is lost, the agent dials again, with a ticket that the reflector has given.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, Optional

from agent import link_ends
from agent.dial.announce import Holding, announced, describe
from agent.dial.first import jitter
from agent.dial.legs import LegDialer
from agent.dial.returning import Returning
from agent.poller import earliest
from agent.process.context import Context
from agent.session.keeping import KeptNews
from medusa.protocol import control
from medusa.protocol.control import Call, Ticket
from medusa.protocol.features import KEPT, TICKET
from medusa.protocol.messages import Close, Message, Text
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused
from medusa.transports.link import Link, LinkLost, Loss, closed
from medusa.transports.steps import Work

MESSAGES_PER_ROUND = 64
MAX_READ = 64 * 1024
"""The limit of one message of the reflector, in bytes."""

ATTEMPT_TIMEOUT = 10.0
"""Seconds after which one attempt to dial is given up."""
FAREWELL_TIMEOUT = 3.0
"""Seconds in which the agent tries to tell the reflector that the session is over, if there is no link at that time."""

_INVALID, _ENDED = 403, 410
"""The HTTP statuses that refuse a ticket for good: it is not valid, or its session has ended."""

_KEEPALIVES = 3
"""A peer that was silent for so many intervals of the keepalive is lost."""


def ticket_of(transport: Transport) -> Optional[str]:
    """Returns the ticket that the reflector has given when it accepted this link. None if the link is no home link."""
    return transport.answer.get(TICKET.lower())


def boot_time() -> float:
    """Returns the seconds since the machine was booted. Unlike monotonic time, they count during sleep too."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Home:
    """The home link of an agent, which carries control messages only. If it is lost, this object dials again.

    In each round of its loop, the caller polls for `wanted`, until `deadline` at most, and calls `serve`.

    Args:
        transport: the first home link. From now on, only this object uses it.
        holding: the request to hold the session, which is announced again when the link is dialled again.
        dialer: dials again.
        call: a function that dials a leg (one more link) for a client. Its argument is the leg's id.
        boot: a function that returns the seconds since the machine was booted.

    Attributes:
        hold: for how many seconds the reflector waits for an agent that has lost its home link.
        ended: True if the reflector has said that the session is over.
        over: True if there is no home link any more, and none will be dialled.
        news: decides when to tell the reflector what the session is kept for.
    """

    def __init__(
        self,
        transport: Transport,
        holding: Holding,
        dialer: LegDialer,
        context: Context,
        call: Callable[[str], None],
        boot: Callable[[], float] = boot_time,
        random: Callable[[], float] = jitter,
    ) -> None:
        self._holding, self._dialer, self._context, self._call = holding, dialer, context, call
        self._clock, self._log, self._random = context.clock, context.log, random
        self._boot = boot
        self._awake = self._sleep()
        self._ticket, self.hold = "", float(holding.seconds)
        self._link: Optional[Link] = None
        self._attempt: Optional[Work[Transport]] = None
        self._returning: Optional[Returning] = None
        self._reason = ""  # of the last attempt that has failed
        self._leaving = ""  # the reason of this end's Close, as soon as the session is to end
        self._leave_by: Optional[float] = None
        self.over = self.ended = False
        self.news = KeptNews()
        self._use(transport)

    @property
    def expired(self) -> bool:
        """True if the link was lost so long ago that the reflector does not wait for the agent any longer."""
        return self._returning is not None and self._clock() >= self._returning.until

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        if self._link is not None:
            return {self._link.fileno(): self._link.events(reading=True)}
        return {} if self._attempt is None else self._attempt.wanted

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        if self.over:
            return None
        due = [self._leave_by]
        if self._link is not None:
            due.append(self._clock() if self._link.unread else self._link.deadline())
            due.append(self.news.deadline() if self._link.clear else None)
        elif self._attempt is not None:
            due.append(self._attempt.until)
        elif self._returning is not None:
            due.append(self._returning.at)
        if self._returning is not None and not self.expired:
            due.append(self._returning.until)
        return earliest(due)

    def serve(self, events: Dict[int, int]) -> None:
        """Reads messages from the link; if it is lost, goes on with dialling.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """
        slept, self._awake = self._sleep() - self._awake, self._sleep()
        try:
            if self._link is not None:
                self._serve_link(self._link, events, slept)
            elif not self.over:
                self._dial(events, slept)
        except LinkLost as lost:
            self._lost(link_ends.describe(lost, self._link.limit if self._link is not None else 0))
        if self._leave_by is not None and self._clock() >= self._leave_by:
            self._end()

    def _sleep(self) -> float:
        """Returns the number of seconds that the machine has slept since it was booted."""
        return self._boot() - self._clock()

    def suspect(self) -> None:
        """Pings the reflector. If it does not answer within `home_timeout` seconds, gives the home link up as lost.

        Call it after another link was lost, because the home link may be lost too.
        """
        if self._link is not None:
            self._link.suspect(self._context.timeouts.home_timeout)

    # ------------------------------------------------------------------ a link that lives

    def _use(self, transport: Transport) -> None:
        self._ticket = ticket_of(transport) or self._ticket
        granted = transport.answer.get(KEPT.lower(), "")
        self.hold = float(granted) if granted.isdecimal() else self.hold
        timeouts = self._context.timeouts
        self._link = Link(transport, self._clock, timeouts.keepalive_interval, timeouts.home_timeout)
        self._link.limit_messages(MAX_READ, MAX_READ)
        self._attempt = self._returning = None
        self.news.restart()
        if self._leaving:
            self._say_goodbye(self._link)

    def _serve_link(self, link: Link, events: Dict[int, int], slept: float) -> None:
        if slept >= _KEEPALIVES * self._context.timeouts.keepalive_interval:
            raise LinkLost(Loss.BROKEN, "this machine has slept for %d s" % slept)
        link.flush()
        for _ in range(MESSAGES_PER_ROUND if link.unread or events.get(link.fileno()) else 0):
            message = link.receive()
            if message is None:
                break
            self._receive(message)
            if self._link is not link:
                return
        news = self.news.due(self._clock()) if link.clear and not self._leaving else None
        if news is not None:
            link.send_control(news)
        link.keep_alive()

    def _receive(self, message: Message) -> None:
        if isinstance(message, Close):
            self._closed(message)
        elif isinstance(message, Text):
            request = control.parse(message.text)
            if isinstance(request, Call):
                self._call(request.leg)
            elif isinstance(request, Ticket):
                self._ticket = request.ticket

    def _closed(self, close: Close) -> None:
        words = link_ends.describe(closed(close))
        if self._leaving or link_ends.session_over(close):
            if not self._leaving:
                self.ended = True
                self._log("session over: " + words)
            self._end()
        else:
            self._lost(words)

    # ------------------------------------------------------------------ a link that is lost

    def _lost(self, words: str) -> None:
        assert self._link is not None
        self._link.abort()
        self._link = None
        if self._leaving:
            self._end()
            return
        self._log("home link lost: %s; the agent dials again for %d s" % (words, self.hold))
        self._reason = ""
        self._returning = Returning(self._clock(), self.hold, self._random)

    def _dial(self, events: Dict[int, int], slept: float) -> None:
        now, returning = self._clock(), self._returning
        assert returning is not None
        if slept >= 1 and self._attempt is None:
            returning.hurry(now)
        if self._attempt is None and now >= returning.at:
            fields = [*announced(self._holding), (TICKET, self._ticket)]
            self._attempt = self._dialer.attempt(fields, ATTEMPT_TIMEOUT)
        if self._attempt is None:
            return
        try:
            link = self._attempt.step(events, now)
            if link is not None:
                self._come_back(link)
        except ConnectRefused as refused:
            self._attempt = None
            self._refused(refused, returning)

    def _come_back(self, link: Transport) -> None:
        if ticket_of(link) is None:
            link.abort()
            raise ConnectRefused("the reflector has given no ticket")
        self._log("home link is back")
        self._use(link)

    def _refused(self, refused: ConnectRefused, returning: Returning) -> None:
        reason = describe(refused)
        if refused.status in (_INVALID, _ENDED):
            self.ended = refused.status == _ENDED
            self._log("session over: " + reason)
            self._end()
            return
        returning.refused(self._clock(), refused.retry_after)
        if reason != self._reason:
            self._log("not connected: %s; the agent goes on dialling" % reason)
        self._reason = reason

    # ------------------------------------------------------------------ the end

    def leave(self, reason: str) -> None:
        """Begins to tell the reflector that the session is over. `over` becomes True when that is done or failed."""
        if self._leaving or self.over:
            return
        self._leaving = reason
        if self._link is not None:
            self._say_goodbye(self._link)
        elif self._returning is not None and not self.expired:
            self._leave_by = self._clock() + FAREWELL_TIMEOUT
            self._returning.hurry(self._clock())
        else:
            self._end()

    def _say_goodbye(self, link: Link) -> None:
        self._leave_by = self._clock() + self._context.timeouts.close_timeout
        try:
            link.queue(Close(link_ends.OVER, self._leaving))
        except LinkLost:
            self._end()

    def _end(self) -> None:
        self.over = True
        if self._link is not None:
            self._link.abort()
        if self._attempt is not None:
            self._attempt.close()
        self._link = self._attempt = self._returning = self._leave_by = None

"""Runs a session: serves its links, signals and processes in one loop and one thread that never blocks."""

from __future__ import annotations

import signal
from typing import Dict, List, Optional, Protocol, Tuple

from agent.dial.announce import Holding
from agent.dial.legs import LegDialer
from agent.poller import READ, Poller, earliest
from agent.process.commands import Commands
from agent.process.context import Context
from agent.session.hold_time import HoldTime
from agent.session.home import Home, ticket_of
from agent.session.keeping import NOTHING, What, what_is_kept
from agent.session.leg import Leg
from agent.streams.registry import Streams
from agent.streams.shared import Shared
from medusa.protocol.features import FORBID, FORWARDING
from medusa.protocol.record import replace
from medusa.transports.base import Transport

MAX_LINKS = 256
"""The maximum number of links of one agent. The reflector's limit is lower, unless its administrator has raised it."""


class _Timed(Protocol):
    def deadline(self) -> Optional[float]: ...


class SessionLoop:
    """Runs a session, which begins with one link.

    If the reflector has given a ticket (a secret, by which the agent can come back) for the first link, this link is
    the home link: the reflector calls the agent to clients by it. Such a session is over as soon as no client has a
    link, nothing is kept for a client, and the time of `hold` is over. It also ends if the reflector ends it, or if a
    lost home link cannot be replaced in time.

    A session without a home link is over after its last link is closed.

    Args:
        transport: the first link. From now on, only the session uses it. The session closes it at the end.
        preface: bytes that the user of the first terminal is shown before any output of the command.
        dialer: dials once more for each client that joins; None to serve one client only. The session closes it.
        holding: the request to hold the session that the first link has announced; None if it has announced none.
        hold: how long the session lives without clients; None if it ends with the last client.

    Attributes:
        clients: how many links of clients there have been.
    """

    def __init__(
        self,
        transport: Transport,
        context: Context,
        preface: bytes = b"",
        poller: Optional[Poller] = None,
        dialer: Optional[LegDialer] = None,
        holding: Optional[Holding] = None,
        hold: Optional[HoldTime] = None,
    ) -> None:
        self._context, self._signals = context, context.signals
        self._clock, self._timeouts = context.clock, context.timeouts
        self._commands = Commands(context.guard, self._clock, self._timeouts, guest=context.guest)
        self._shared = Shared(preface, None if hold is None else lambda: hold.greet(self._clock()))
        self._streams = Streams(self._commands, self._shared)
        self._dialer, self._hold = dialer, hold
        self._poller = poller or Poller()
        self._legs: List[Leg] = []
        self.clients = 0
        self._home: Optional[Home] = None
        self._leaving = False
        self._doubt: Optional[float] = None  # when the home link was last checked because another link was doubtful
        self._first_by: Optional[float] = None  # when the first client must have come; None if it has come
        self._failure: Optional[BaseException] = None
        self._others: Dict[int, int] = {}  # what to poll for besides links and terminals
        self._others_at: Optional[float] = None  # when the parts besides links and terminals must be served
        if holding is not None and dialer is not None and ticket_of(transport) is not None:
            self._home = Home(transport, holding, dialer, context, self._call)
            self._streams.keeps = dialer.holds = True
            self._first_by = self._clock() + self._home.hold
        else:
            self._add(transport)

    @property
    def ended(self) -> bool:
        """True if the reflector has said that the session is over."""
        return self._home is not None and self._home.ended

    @property
    def over(self) -> bool:
        """True if no other session is to follow: the time of `hold` is over, or the reflector ended the session."""
        return self.ended or (self._hold is not None and self._hold.over(self._clock(), self._exits, kept=False))

    @property
    def _exits(self) -> int:
        """The number of commands on terminals that have ended by themselves."""
        return self._shared.exits + self._shared.terminals.exits

    @property
    def _kept(self) -> What:
        """The reason why the session is kept while no client is there, and until when (see keeping.What)."""
        terminals, hold = self._shared.terminals, None if self._hold is None else self._hold.until
        parked = [*self._streams.kept_until, *terminals.kept_until]
        kept = what_is_kept(hold, terminals.detached, parked, self._first_by, terminals.last_end)
        return NOTHING if self._leaving else kept

    def run(self) -> None:
        """Runs the session. Returns when it is over: its links are closed, and its last process has ended.

        Raises:
            Exception: an unexpected exception of one of the links. That link was closed; the others went on.
        """
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  (it is raised again after the clean-up)
            self._stop_dialling()
            for leg in self._legs:
                leg.fail()
            self._leave("the agent has failed")
            self._failure, self._shared.calm = error, False
            self._run()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while self._legs or self._dials or self._commands.ending or (self._home is not None and not self._home.over):
            self._round()

    def _add(self, transport: Transport) -> None:
        """Begins to serve a link of a client.

        In the log, the lines about the second link and later ones begin with the link's number.
        """
        self.clients += 1
        context, log, name = self._context, self._context.log, "client %d: " % self.clients
        if FORWARDING in transport.answer.get(FORBID.lower(), "").split(",") and not context.forbidden:
            context = replace(context, forbidden="the reflector forbids forwarding for this login")
        if self.clients > 1 or self._hold is not None:
            context = replace(context, log=lambda line: log(name + line))
            context.log("connected")
        self._legs.append(Leg(transport, self._commands, context, self._shared, self._call, self._streams))

    @property
    def _dials(self) -> bool:
        return self._dialer is not None and self._dialer.deadline() is not None

    def _call(self, leg: str) -> None:
        if self._dialer is not None and len(self._legs) < MAX_LINKS and not self._leaving:
            self._dialer.begin(leg)

    def _stop_dialling(self) -> None:
        if self._dialer is not None:
            self._dialer.close()
            self._dialer = None

    # ------------------------------------------------------------------ one round

    def _round(self) -> None:
        """Waits for events and serves what they concern.

        A round in which nothing but input and output has moved is short: it serves the terminals and the links, and no
        other part. Anything else makes the round a whole one, and so does a deadline of the other parts.
        """
        if not self._shared.calm:
            self._prepare()
        now, wanted = self._clock(), {**self._others}
        due = [self._others_at, self._shared.terminals.deadline(now)]
        for leg in self._legs:
            wanted.update(leg.wanted())
            due.append(leg.deadline())
        wanted.update(self._shared.terminals.wanted(now))
        self._poller.watch(wanted)
        at = earliest(due)
        events = self._poller.wait(None if at is None else max(0.0, at - self._clock()))
        now, late = self._clock(), self._others_at
        self._shared.calm = (late is None or now < late) and self._others.keys().isdisjoint(events)
        if events.get(self._signals.fileno()):
            self._take_signals()
        self._shared.terminals.serve(now, events)
        for leg in self._legs:
            self._serve(leg, events)
            self._shared.calm = self._shared.calm and not leg.closing
        if self._calm:
            # Unacknowledged output may make a link doubtful in this time.
            self._others_at = earliest([late, now + self._timeouts.doubt_timeout])
            return
        self._shared.calm = False
        if self._home is not None:
            self._home.serve(events)
        self._streams.expire(self._clock())
        self._check_doubt()
        if self._first_by is not None and any(leg.met for leg in self._legs):
            self._first_by = None
        self._legs = [leg for leg in self._legs if not leg.over]
        for transport in self._dialer.step(events) if self._dialer is not None else ():
            self._add(transport)
        self._commands.step()
        if all(leg.closing for leg in self._legs) and not self._dials:
            self._check_end()

    @property
    def _calm(self) -> bool:
        """True if nothing but input and output has moved in this round, and nothing else is to be done.

        False if no client has a link: the session may be over.
        """
        calm = bool(self._legs) and self._shared.calm and self._shared.terminals.calm and not self._dials
        return calm and self._commands.deadline(0.0) is None

    def _prepare(self) -> None:
        """Notes the events and the deadline of all parts but the links and the terminals."""
        now, home, dialer = self._clock(), self._home, self._dialer
        self._others = {self._signals.fileno(): READ, **(dialer.wanted() if dialer is not None else {})}
        parts: Tuple[Optional[_Timed], ...] = (dialer, home, self._streams)
        if home is not None:
            home.news.now_kept = self._kept
            self._others.update(home.wanted())
        due = [part.deadline() for part in parts if part is not None]
        due.append(self._commands.deadline(now))
        if home is not None and not (self._legs or self._leaving or self._dials):
            due.append(self._first_by if self._hold is None else self._hold.deadline())
        doubt = self._streams.doubt_at
        due.append(None if home is None or doubt == self._doubt else doubt)
        self._others_at = earliest(due)

    def _check_doubt(self) -> None:
        """Checks the home link if another link has become doubtful: the network may be dead. Once in each silence."""
        doubt = self._streams.doubt_at
        if self._home is not None and doubt is not None and doubt != self._doubt and self._clock() >= doubt:
            self._doubt = doubt
            self._home.suspect()

    def _serve(self, leg: Leg, events: Dict[int, int]) -> None:
        closing = leg.closing
        try:
            leg.serve(events)
        except Exception as error:  # noqa: BLE001  (it must not end the other links)
            self._failure = error
            leg.fail()
        if self._home is not None and leg.vanished and not closing:
            self._home.suspect()

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number in self._context.passed_on:
                self._context.log("got %s" % signal.Signals(number).name)
                self._commands.signal(number)
        self._commands.reap()
        if self._signals.stopped is not None:
            name = signal.Signals(self._signals.stopped).name
            self._stop_dialling()
            for leg in self._legs:
                leg.stop(name)
            self._leave("stopped by %s" % name)

    # ------------------------------------------------------------------ the end

    def _check_end(self) -> None:
        """Ends the session if nothing keeps it alive. Call it if no client has a link."""
        now = self._clock()
        if self._home is None:
            self._commands.end_all()
            return
        words = None if self._leaving else self._why_over(self._home, now)
        news = self._hold.news(now) if self._hold is not None else ""
        if words is not None:
            self._leave(words)
        elif news and not self._leaving:
            self._context.log(news)
        if self._leaving and not self._commands.ending and not self._legs:
            self._home.leave("done")  # last, so that no new session of this name begins beside these processes

    def _why_over(self, home: Home, now: float) -> Optional[str]:
        """Returns why the session is over, as a text for the log; "" to log nothing. None if it is not over."""
        if home.over:
            return ""
        if home.expired:
            return "the reflector could not be reached for %d s" % home.hold
        kept = self._shared.terminals.kept or self._streams.needed
        if self._hold is not None:
            return "" if self._hold.over(now, self._exits, kept=kept) else None
        if self._first_by is not None:
            return "nobody came in %d s" % home.hold if now >= self._first_by else None
        return None if kept else ""

    def _leave(self, words: str) -> None:
        """Begins to end the session. `words` say why.

        Logs `words` only if no client has a link. Otherwise the links log them.
        """
        if self._home is None or self._leaving:
            return
        self._leaving = True
        self._stop_dialling()
        if words and not self._legs:
            self._context.log("session over: " + words)
        self._streams.end_parked(words or "the session has ended")
        self._commands.end_all()

"""Runs the home link of a session: the control connection of an agent that holds the session.

An agent that holds its session keeps it alive while there is no client, and while a connection is lost. The states of
the home link are a table in medusa/session/holding.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection

import structlog

from medusa.protocol.control import Call, Ticket, build
from medusa.protocol.http.about import NOTHING, About
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close
from medusa.reflector.relay.endpoint.endpoint import Endpoint
from medusa.reflector.relay.pump import Progress
from medusa.reflector.sessions.life.home_owner import HomeOwner
from medusa.reflector.sessions.life.keeping import AGENT, Keeping
from medusa.reflector.sessions.limits import Place
from medusa.reflector.sessions.pair.link_checks import Late, LinkChecks, Ping, Renew, Renewal
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.sessions.pair.sides import OVER
from medusa.reflector.sessions.stepping import Stepping
from medusa.session import COME_BACK, Outcome, Side
from medusa.session.holding import HomeAction, HomeInput, HomeMachine, HomeState, HomeStep
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="session")

_INPUTS = {
    Progress.CLOSED: HomeInput.CLOSED,
    Progress.LOST: HomeInput.LOST,
    Progress.BROKE_RULES: HomeInput.BROKE_RULES,
}
_TOO_LATE = Close(COME_BACK, "the session ended meanwhile")


class Home(Stepping[HomeInput]):
    """The home link of one session: the control connection of an agent that holds the session.

    The object also exists while there is no connection: before the agent's connection is upgraded, and while the agent
    is away. After the upgrade, call `attach`; if the upgrade has failed, call `refuse`. The object releases everything
    by itself when the session is not held any more.

    Args:
        place: counts the session among those that are held.

    Attributes:
        machine: the state machine.
        hold: for how many seconds the session lives on while the agent is away.
        incarnation: the id of the agent's process; "" before an agent has come.
        keeping: why the session is kept while it has no client or no agent, and until when.
        reason: why the session is not held any more; "" if it is still held, or if no reason is known.
        address: the address of the agent; "" before it has come.
        is_forwarded: True if another reflector forwards the connection.
    """

    __slots__ = (
        "_checks",
        "_context",
        "_link",
        "_place",
        "_session",
        "_timed",
        "address",
        "hold",
        "incarnation",
        "is_forwarded",
        "keeping",
        "machine",
        "reason",
    )

    def __init__(self, session: HomeOwner, context: Context, place: Place, hold: float, state: HomeState) -> None:
        super().__init__(context.queue)
        self.machine = HomeMachine(state)
        self.hold = hold
        self.incarnation = self.address = self.reason = ""
        self.keeping = Keeping(AGENT if state is HomeState.AWAITED else None)
        self.is_forwarded = False
        self._session = session
        self._context = context
        self._place = place
        self._link: Endpoint | None = None
        self._checks: LinkChecks | None = None
        self._timed: dict[HomeInput, float] = {}

    # ------------------------------------------------------------------ an agent's coming

    def expects(self, side: Side) -> bool:
        """Returns True if `attach` would add the agent's connection now, False if it would close it."""
        return self.machine.state not in (HomeState.CLOSING, HomeState.ENDED)

    def refuse(self, side: Side) -> None:
        """Notes that the upgrade of the agent's connection has failed."""
        self.tell(HomeInput.REFUSED)

    def attach(
        self,
        side: Side,
        transport: RelayedTransport,
        address: str,
        source: str = "",
        announced: Collection[str] = (),
        about: About = NOTHING,
        renewal: Renewal | None = None,
    ) -> None:
        """Adds the agent's connection after its upgrade. If there is an older connection, replaces it.

        If the session is not held any more, closes the new connection. For the arguments see Pair.attach.
        """
        if not self.expects(side):
            transport.close(_TOO_LATE.code or COME_BACK, _TOO_LATE.reason, timeout=0.1)
            return
        transport.queues_texts = True  # calls are not to replace each other
        transport.share = self._context.budget.share(login=self._session.name.login, address=source)
        now = time.monotonic()
        keepalive = Keepalive(self._context.config.keepalive, now)
        link = Endpoint(self._context.queue, Side.AGENT, transport, keepalive, self._link_ended, address)
        self._session.describe(Side.AGENT, about)
        step = self.machine.process(HomeInput.ATTACHED)
        if HomeAction.REPLACE in step.actions and self._link is not None:
            self._link.dismiss(step.close or OVER)
        self._link, self.address = link, address
        self._checks = LinkChecks(self._context.config, now)
        self._checks.renewal = renewal
        link.pump.listens = True
        link.on_left_out = lambda texts: self.keeping.heard(texts, time.time())
        self._inbox = [happened for happened in self._inbox if happened not in _INPUTS.values()]  # of the older link
        self._timed.clear()
        self.keeping.agent_came()
        self._guarded(lambda: self._carry_out(step))
        self.set_timer()

    # ------------------------------------------------------------------ of the session

    @property
    def is_there(self) -> bool:
        """True if the agent is connected, so that `call` can reach it."""
        return self.machine.state is HomeState.HELD

    @property
    def links(self) -> int:
        """The number of connections that this object has: 1 if the agent is connected, else 0."""
        return int(self._link is not None)

    def call(self, leg_id: str) -> None:
        """Asks the agent to make one more connection, for the client of the pair with the id `leg_id`.

        If the agent gives no sign of life within `home_timeout`, the home link counts as lost.
        """
        if self._link is not None and self.is_there:
            self._link.announce(build(Call(leg_id)))
            self._link.keepalive.suspect(time.monotonic(), self._context.config.timeouts.home_timeout)
            self.set_timer()

    def answered(self) -> None:
        """Notes that the agent has made a connection after a call. This is a sign of life."""
        if self._link is not None:
            self._link.keepalive.received(time.monotonic())

    def renew(self) -> None:
        """Lets the agent get a new ticket at once, because the data that tickets contain have changed."""
        if self._checks is not None and self._checks.renewal is not None:
            self._checks.renewal.due = time.monotonic()
        self.set_timer()

    def tell(self, happened: HomeInput) -> None:
        """Schedules an input (an event) for processing, and returns at once."""
        self._add(happened)

    # ------------------------------------------------------------------ inputs

    def _link_ended(self, link: Endpoint, progress: Progress) -> None:
        if link is not self._link:
            return  # it was replaced
        if progress is Progress.CLOSED:
            reason = link.pump.close.reason if link.pump.close else ""
            self.reason = self.reason or "agent: closed" + (" (%s)" % reason if reason else "")
        elif progress is Progress.BROKE_RULES:
            self.reason = self.reason or "agent: " + link.pump.why
        self.tell(_INPUTS[progress])

    def _step(self) -> None:
        self._woken = False
        self._guarded(self._process_inputs)
        self.set_timer()

    def _process_inputs(self) -> None:
        while self._inbox:
            self._process(self._inbox.pop(0))
        for due in [happened for happened, when in self._deadlines().items() if when <= time.monotonic()]:
            self._timed.pop(due, None)
            self._process(due)

    def _process(self, happened: HomeInput) -> None:
        if happened is HomeInput.REFUSED and self.machine.state is HomeState.AWAITED:
            self.incarnation = ""  # any agent may come
        step = self.machine.process(happened)
        if step.outcome is not None and self.machine.outcome is step.outcome:
            self.reason = self.reason or (step.close.reason if step.close else happened.value)
        self._carry_out(step)

    def _carry_out(self, step: HomeStep) -> None:
        for action in step.actions:
            if action in _CARRY_OUT:
                _CARRY_OUT[action](self, step)

    # ------------------------------------------------------------------ deadlines

    def _deadlines(self) -> dict[HomeInput, float]:
        most, since = self._context.config.max_duration, self._session.linked_at
        if not most or since is None or self.machine.state in (HomeState.CLOSING, HomeState.ENDED):
            return dict(self._timed)
        return {**self._timed, HomeInput.DURATION_EXPIRED: since + most}

    def _links(self) -> tuple[Endpoint, ...]:
        return (self._link,) if self._link is not None else ()

    def _next_deadline(self) -> float:
        if self.machine.state is HomeState.ENDED:
            return math.inf
        times = [*self._deadlines().values()]
        if self._checks is not None:
            times.append(self._checks.next_check(self._links()))
        return min(times, default=math.inf)

    def _check_deadlines(self) -> None:
        now, link = time.monotonic(), self._link
        if link is not None and self._checks is not None:
            for due in self._checks.check_links(now, (link,)):
                if isinstance(due, Ping):
                    link.ping()
                elif isinstance(due, Renew):
                    link.announce(build(Ticket(due.ticket)))
                elif isinstance(due, Late):
                    link.refuse_message(due.why)
                else:
                    link.give_up(due.why)
        if min(self._deadlines().values(), default=math.inf) <= now:
            self._wake()

    def _fail(self, error: Exception) -> None:
        log.error("session failed", exc_info=error, **self._session.usage.named)
        self.machine.state = HomeState.ENDED
        self.machine.outcome = self.machine.outcome or Outcome.ENDED
        self._release()

    # ------------------------------------------------------------------ the table's actions

    def _start(self, _: HomeStep) -> None:
        assert self._link is not None
        self._link.start()

    def _call_clients(self, _: HomeStep) -> None:
        self._session.call_clients()

    def _start_hold(self, _: HomeStep) -> None:
        self._drop_link()
        self._timed[HomeInput.HOLD_EXPIRED] = time.monotonic() + self.hold
        self.keeping.agent_left(time.time() + self.hold)
        self._session.call_nobody()

    def _close_home(self, step: HomeStep) -> None:
        assert self._link is not None
        if self._link.open and step.close is not None:
            self._link.close(step.close)
        if self._checks is not None:
            self._checks.close_begins()
        self._timed = {HomeInput.CLOSE_EXPIRED: time.monotonic() + self._context.config.timeouts.close_timeout}
        self._session.call_nobody()

    def _release(self, _: HomeStep | None = None) -> None:
        self._drop_link()
        self._timed.clear()
        self._place.leave()
        self._session.hold_ended()

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.dismiss(OVER)
        self._link = self._checks = None


_CARRY_OUT: dict[HomeAction, Callable[[Home, HomeStep], None]] = {
    HomeAction.START: Home._start,
    HomeAction.CALL_CLIENTS: Home._call_clients,
    HomeAction.START_HOLD: Home._start_hold,
    HomeAction.CLOSE_HOME: Home._close_home,
    HomeAction.RELEASE: Home._release,
}

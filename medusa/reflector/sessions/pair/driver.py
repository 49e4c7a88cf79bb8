"""Runs one pair: passes events to its state machine, and carries out the actions that the state machine returns.

The state machine is the table in medusa/session/machine.py, which calls an event an input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Protocol

from medusa.protocol.features import CALL, NOTICE
from medusa.protocol.http.about import NOTHING, About
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close
from medusa.reflector.relay.endpoint.endpoint import Endpoint
from medusa.reflector.relay.pump import Progress
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.limits import Place
from medusa.reflector.sessions.pair import deadlines
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.reflector.sessions.pair.link_checks import Renewal
from medusa.reflector.sessions.pair.messages import Messages
from medusa.reflector.sessions.pair.runner import Context
from medusa.reflector.sessions.pair.sides import OVER
from medusa.reflector.sessions.pair.usage import Usage
from medusa.session import (
    COME_BACK,
    JOB_OVER,
    Action,
    Input,
    Outcome,
    Side,
    State,
    broke_rules,
    closed,
    for_holder,
    lost,
)
from medusa.transports.relayed import RelayedTransport

_INPUTS = {Progress.CLOSED: closed, Progress.LOST: lost, Progress.BROKE_RULES: broke_rules}


class Session(deadlines.Session, Protocol):
    """The interface of the session that a pair belongs to: the attributes and methods that the pair uses."""

    name: SessionName
    linked_at: float | None

    @property
    def is_held(self) -> bool:
        """True if the agent holds the session, which then lives on after a connection is lost."""

    def begin_wait(self, pair: Pair) -> None:
        """Starts the deadlines of `pair`, whose client begins to wait: calls one of the pair's `wait_...` methods."""

    def describe(self, side: Side, about: About) -> None:
        """Notes `about`, the description that the peer at `side` has given of itself."""

    def call(self, pair: Pair) -> None:
        """Asks the session's agent to make one more connection, for the client of `pair`."""

    def job_over(self) -> None:
        """Notes that the session's job is over, so its agent does not come back."""

    def linked(self, pair: Pair, took: float) -> None:
        """Notes that the client and the agent of `pair` are linked.

        `took`: the seconds since the agent asked to be let in.
        """

    def closing(self) -> None:
        """Notes that a pair is not linked any more, or ends before it was linked."""

    def ended(self, pair: Pair, outcome: Outcome) -> None:
        """Notes that `pair` is over, and how: `outcome`."""


class Pair(Messages):
    """One pair of a session: its client, and the agent that the client waits for and is then linked to.

    The object releases everything by itself when the pair is over.

    Args:
        place: counts the client for the limits, until the pair is over.
        usage: records the pair's times for the log.
        leg_id: a secret id by which an agent that is asked to connect finds the pair; see Runner.

    Attributes:
        is_forwarded: True if another reflector forwards one of the connections.
        takes_calls: True if the agent has announced that it makes one more connection for each client that joins the
            session.
    """

    __slots__ = (
        "_agent_requested",
        "_linked_up",
        "_place",
        "_session",
        "is_forwarded",
        "takes_calls",
    )

    def __init__(self, session: Session, context: Context, place: Place, usage: Usage, leg_id: str = "") -> None:
        super().__init__(context, Deadlines(context.config, time.monotonic(), session), usage, leg_id)
        self.is_forwarded = self.takes_calls = False
        self._session = session
        self._place = place
        self._agent_requested = 0.0  # the time of the agent's request, by time.monotonic()
        self._linked_up = False

    @property
    def name(self) -> SessionName:
        """The name of the session."""
        return self._session.name

    def expect_agent(self) -> bool:
        """Reserves the place of the agent in this pair, until the agent's connection is attached or refused.

        Returns False if an agent has the place already, or if the pair does not wait for an agent.
        """
        if self.machine.state is not State.WAITING:
            return False
        self.machine.process(Input.AGENT_EXPECTED)
        self._agent_requested = time.monotonic()
        return True

    def expects(self, side: Side) -> bool:
        """Returns True if `attach` would add the connection of `side` now, False if it would close it."""
        return self.machine.state is _ATTACH_IN[side]

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
        """Adds the connection of `side` after its upgrade. If the pair is over by now, closes the connection.

        Args:
            address: the peer's address, for logs and lists.
            source: the address or the network to which limits count the peer. The memory that is held for the peer is
                counted for the session's login. If the session has no login, it is counted for `source`.
            announced: the names of the features that the peer has announced; see medusa.protocol.features.
            about: the peer's description of itself, for lists and logs.
            renewal: gives the client a new ticket in time; None if it has no ticket.
        """
        if not self.expects(side):
            holds = renewal is not None or (side is Side.AGENT and self._session.is_held)
            transport.close(COME_BACK if holds else 1000, OVER.reason, timeout=0.1)
            return
        transport.queues_texts = side is Side.AGENT  # calls are not to replace each other
        transport.share = self._context.budget.share(login=self.name.login, address=source)
        keepalive = Keepalive(self._context.config.keepalive, time.monotonic())
        endpoint = Endpoint(self._context.queue, side, transport, keepalive, self._endpoint_ended, address)
        self._sides[side] = endpoint
        self.shows_notices |= NOTICE in announced and side is Side.CLIENT
        self.takes_calls |= CALL in announced and side is Side.AGENT
        if renewal is not None:
            self._deadlines.renewal = renewal
        self._session.describe(side, about)
        self.tell(Input.CLIENT_ATTACHED if side is Side.CLIENT else Input.AGENT_ATTACHED)

    def refuse(self, side: Side) -> None:
        """Notes that the upgrade of the connection of `side` has failed."""
        self.tell(Input.CLIENT_REFUSED if side is Side.CLIENT else Input.AGENT_REFUSED)

    # ------------------------------------------------------------------ read by the session

    @property
    def can_call(self) -> bool:
        """True if a message of the reflector can be sent to the agent of this pair now.

        For example, the message asks the agent to make one more connection.
        """
        return self._linked_up and self.machine.state is State.LINKED and self._sides[Side.AGENT].open

    @property
    def returns(self) -> bool:
        """True if the client can come back to this session with a ticket."""
        return self._holds(Side.CLIENT)

    @property
    def is_agent_busy(self) -> bool:
        """True if a message to the agent would have to wait, because other bytes already wait to be written to it."""
        return self._sides[Side.AGENT].transport.wants_write

    def renew(self) -> None:
        """Lets the client get a new ticket at the next check of its connection. Does nothing if it has no ticket.

        Call this when the data that tickets contain have changed.
        """
        if self._deadlines.renewal is not None:
            self._deadlines.renewal.due = time.monotonic()

    # ------------------------------------------------------------------ inputs

    def _process(self, happened: Input, close: Close | None) -> None:
        for action in self.machine.process(happened, close):
            _CARRY_OUT[action](self)

    def _endpoint_ended(self, endpoint: Endpoint, progress: Progress) -> None:
        if progress is Progress.CLOSED:
            reason = endpoint.pump.close.reason if endpoint.pump.close else ""
            if endpoint.side is Side.CLIENT and endpoint.pump.close and endpoint.pump.close.code == JOB_OVER:
                self._session.job_over()
            self.usage.because(endpoint.side, "closed" + (" (%s)" % reason if reason else ""))
        else:
            self.usage.because(endpoint.side, endpoint.pump.why)
        self.tell(_INPUTS[progress](endpoint.side), endpoint.pump.close)

    # ------------------------------------------------------------------ the table's actions

    def _start_wait(self) -> None:
        self._session.begin_wait(self)
        self._sides[Side.CLIENT].start()

    def _send_call(self) -> None:
        self._session.call(self)

    def _start_pair(self) -> None:
        now = time.monotonic()
        self.leg_id, self.called_over = "", None
        self._deadlines.link(now, self._session.linked_at)
        self.usage.linked()
        self._place.stop_waiting()
        self._run_in_greenlet()

    def _join_endpoints(self) -> None:
        client, agent = self._sides[Side.CLIENT], self._sides[Side.AGENT]
        client.transport.queues_texts = self._deadlines.renewal is not None  # a ticket must not replace the link-up
        self._send_linkup(client, agent)
        client.forward(agent)
        agent.forward(client)
        self._linked_up = True
        self._session.linked(self, time.monotonic() - self._agent_requested)
        agent.start()

    def _dismiss_agent(self) -> None:
        self._sides.pop(Side.AGENT).dismiss(OVER)

    def _hurry(self) -> None:
        self.usage.ended_by(self.machine.close.reason)
        self._deadlines.hurry()

    def _close(self, side: Side) -> None:
        close = self.machine.close
        self._sides.close(side, for_holder(close) if self._holds(side) else close)

    def _holds(self, side: Side) -> bool:
        """Returns True if the peer at `side` may come back to the session: a client with a ticket, or an agent.

        This is possible if the agent holds the session. A client can also come back if no agent has come to this pair.
        """
        if side is Side.CLIENT and (self._deadlines.renewal is None or self.machine.state is State.CLAIMED):
            return False
        return self._session.is_held or Side.AGENT not in self._sides

    def _finish(self) -> None:
        self._deadlines.finish(time.monotonic())
        self._session.closing()

    def _release(self) -> None:
        self.called_over = None
        self._place.leave()
        self._session.ended(self, self.machine.outcome or Outcome.ENDED)
        self._sides.dismiss()


_ATTACH_IN = {Side.CLIENT: State.CLAIMED, Side.AGENT: State.WAITING_UPGRADE}

_CARRY_OUT: dict[Action, Callable[[Pair], None]] = {
    Action.START_WAIT: Pair._start_wait,
    Action.SEND_WAIT: Pair._send_wait,
    Action.SEND_CALL: Pair._send_call,
    Action.SEND_KILLED: Pair._send_killed,
    Action.SEND_IDLE_NOTICE: Pair._send_idle_notice,
    Action.SEND_DURATION_NOTICE: Pair._send_duration_notice,
    Action.SEND_DRAIN_NOTICE: Pair._send_drain_notice,
    Action.LINK_UP: Pair._start_pair,
    Action.DISMISS_AGENT: Pair._dismiss_agent,
    Action.HURRY: Pair._hurry,
    Action.CLOSE_CLIENT: lambda pair: pair._close(Side.CLIENT),
    Action.CLOSE_AGENT: lambda pair: pair._close(Side.AGENT),
    Action.FINISH: Pair._finish,
    Action.RELEASE: Pair._release,
}

"""Lets a peer in after the checks: attaches it to its session here, or forwards it to the owner of the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from medusa.directory import Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.features import FORBID, FORWARDING
from medusa.reflector.auth.single_use import Reservation, ReservedMark
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.by_ticket import ByTicket, incarnation_of
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import site
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import Refusal, Unreachable
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.life.home import Home
from medusa.reflector.sessions.life.session import HAS_CLIENT
from medusa.reflector.sessions.owners import Elsewhere
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.registry import Registry
from medusa.reflector.tickets.desk import LinkTicket
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import Side
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="doors")

Accept = Callable[[], RelayedTransport]
"""A function that tells the peer that it is accepted, and returns the peer's transport.

Before it is called, the peer's place in the session (as its client or its agent) is reserved.
"""


Right = Reservation | Ticket | None
"""What lets a peer in: the reservation of its signature, or its ticket. None if it needs neither."""


class Forwarder(Protocol):
    """The interface for forwarding peers to the other reflectors of the site."""

    def forward(
        self, accepted: Accepted, owner: Owner, name: SessionName, side: Side, reserved: ReservedMark | None
    ) -> Refusal | None:
        """Forwards a peer to `owner`, the reflector that owns the session `name`.

        Returns None if the owner has accepted the peer. Otherwise returns the refusal that the owner has sent to the
        peer. See medusa.reflector.cluster.forward_out.
        """


class Entrance:
    """Attaches peers that have passed the checks, or forwards them.

    Args:
        by_ticket: gives tickets to the peers that are let in.
        forwarder: forwards peers to other reflectors. None if no other reflector shares the directory.
    """

    def __init__(
        self, config: ReflectorConfig, registry: Registry, by_ticket: ByTicket, forwarder: Forwarder | None
    ) -> None:
        self._config = config
        self._registry = registry
        self._desk = registry.desk
        self._by_ticket = by_ticket
        self._forwarder = forwarder

    def enter(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept, right: Right) -> Refusal | None:
        """Attaches a peer that has passed the checks, or forwards it to the reflector that owns the session.

        Returns and raises what Admission.enter does. `right`: what lets the peer in.
        """
        refusal = self._enter_or_forward(accepted, name, side, accept, right)
        if refusal is None and side is Side.CLIENT and accepted.joins:
            self._registry.forgive(side, joined=name)
        elif refusal is None and side is Side.AGENT and accepted.leg:
            self._registry.forgive(side, source=accepted.source)
        return refusal

    def _enter_or_forward(
        self, accepted: Accepted, name: SessionName, side: Side, accept: Accept, right: Right
    ) -> Refusal | None:
        gone: Owner | None = None  # the owner, if it cannot be connected to, and the peer has a ticket
        if self._forwarder is not None and _comes_second(accepted, side):
            owner = self._registry.elsewhere(name)
            if owner is not None:
                try:
                    return self._forward(accepted, owner, name, side, right)
                except Unreachable:
                    if not isinstance(right, Ticket):
                        raise
                    gone = owner
        try:
            self.attach(accepted, name, side, accept, right, gone)
        except Elsewhere as lives:  # another peer has just opened it there, or an agent holds it there
            return self._forward(accepted, lives.owner, name, side, right)
        return None

    def _forward(self, accepted: Accepted, owner: Owner, name: SessionName, side: Side, right: Right) -> Refusal | None:
        if self._forwarder is None:
            raise Refusal(409, HAS_CLIENT)
        accepted.private = self._desk.is_private(accepted)
        reserved = right.reserved if isinstance(right, Reservation) else None
        refusal = self._forwarder.forward(accepted, owner, name, side, reserved)
        if refusal is None and isinstance(right, Reservation):
            right.settled_elsewhere()
        return refusal

    def attach(
        self,
        accepted: Accepted,
        name: SessionName,
        side: Side,
        accept: Accept,
        right: Right,
        gone: Owner | None = None,
    ) -> None:
        """Attaches a peer to its session, which lives in this reflector or begins here.

        Args:
            accept: tells the peer that it is accepted, and returns the peer's transport.
            right: what lets the peer in.
            gone: the reflector that owns the session, if it cannot be connected to, and the peer has a ticket.

        Raises:
            Elsewhere: the session lives in another reflector.
            Refusal: there is no place for the peer.
            Exception: what `accept` raises.
        """
        back = right if isinstance(right, Ticket) else None
        if back is not None and self._registry.birth_of(name) != back.birth:
            self._desk.check_not_over(name, back)
        pair = self._pair(accepted, name, side, back, gone)
        pair.is_forwarded |= accepted.forwarded
        try:
            if isinstance(right, Reservation):
                right.confirm()
                _check_both_ends(accepted, pair, side)  # confirming may have taken seconds
                right.settle()
            given: LinkTicket | None = None
            if isinstance(pair, Home) or (side is Side.CLIENT and self._desk.keeps(accepted)):
                given = self._by_ticket.give(accepted, name, side, back)
            if side is Side.AGENT and self._config.forbids_forwarding(name.login):
                accepted.granted += ((FORBID, FORWARDING),)
            transport = accept()
        except BaseException:
            pair.refuse(side)
            raise
        pair.attach(side, transport, accepted.client, site(accepted.host), accepted.announced, accepted.about, given)
        if back is not None:
            fields = {"login": name.login, "session": name.session_id, "side": side.value}
            log.info("came back", client=accepted.client, **fields)

    def opens(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
        """Returns True if the peer would begin a new session in this reflector."""
        return not _comes_second(accepted, side) and not self._registry.has(name)

    def _pair(
        self, accepted: Accepted, name: SessionName, side: Side, back: Ticket | None, gone: Owner | None
    ) -> Pair | Home:
        """Reserves the peer's place in the session `name`. Returns the pair of client and agent that has this place.

        If the peer is an agent that holds its session open, returns the place for its control connection instead.
        Raises Refusal if there is no place; see Registry.

        Args:
            back: the ticket by which the peer comes back. None if it shows no ticket.
            gone: the reflector that owns the session, if it cannot be connected to. This reflector may then replace its
                claim. None in all other cases.
        """
        if side is Side.AGENT and self._by_ticket.holds(accepted, name, back):
            incarnation = incarnation_of(accepted, back)
            return self._registry.hold(name, accepted.client, self._desk.hold_of(accepted), incarnation, back, gone)
        if side is Side.AGENT:
            return self._registry.add_agent(name, accepted.client, accepted.leg, accepted.about)
        add = self._registry.join if accepted.joins else self._registry.open
        return add(name, accepted.client, accepted.source, back, gone)


def _comes_second(accepted: Accepted, side: Side) -> bool:
    """Returns True if the peer asks for an existing session: it is an agent, joins the session, or has a ticket.

    Such a peer is forwarded if another reflector owns the session.
    """
    return side is Side.AGENT or accepted.joins or accepted.ticket is not None


def _check_both_ends(accepted: Accepted, pair: Pair | Home, side: Side) -> None:
    """Checks that the pair of client and agent still expects the peer, and that the peer has not hung up.

    Raises:
        Refusal: the pair does not expect the peer any more.
        HandshakeError: the peer has hung up.
    """
    if not pair.expects(side):
        raise Refusal(503 if side is Side.CLIENT else 404, "the session has ended meanwhile")
    if not accepted.plain and hung_up(accepted.sock.fileno()):
        raise HandshakeError(400, "the peer has given up")

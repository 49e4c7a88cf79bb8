"""Decides whether a peer may attach to a session, and attaches the peer. The servers for HTTP and raw TCP use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import gevent
import structlog

from medusa.directory import Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.features import FORBID, FORWARDING
from medusa.reflector.auth.authenticator import Authenticator, Grant, unknown
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.single_use import Reservation, ReservedMark, SingleUse
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.by_ticket import ByTicket, incarnation_of
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import site
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import Refusal, Unreachable
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
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

_NO_SUCH_SESSION = "signed, but there is no such session"

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


class Admission:
    """Admits peers to the sessions of one reflector. The servers for HTTP and raw TCP use it.

    Args:
        authenticator: checks the signatures of requests. None if there are no accounts.
        forwarder: forwards peers to other reflectors. None if no other reflector shares the directory.

    Attributes:
        single_use: the signatures that were used.
        desk: gives and checks tickets, by which peers come back.
        refusals: limits the number of log lines about peers that are refused.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        authenticator: Authenticator | None,
        forwarder: Forwarder | None = None,
        *,
        claims: Claims,
        refusals: RefusalLog,
    ) -> None:
        self._config = config
        self._registry = registry
        self._authenticator = authenticator
        self._forwarder = forwarder
        nonces = ReplayCache(time.time) if authenticator is None else authenticator.nonces
        self.single_use = SingleUse(nonces, claims.marks, time.time)
        self.refusals = refusals
        self.desk = registry.desk
        self._by_ticket = ByTicket(registry, authenticator, self.count)

    def hold_back(self, begun: float) -> None:
        """Waits before a refusal is sent. The time from the request to the refusal is then the same for every reason.

        So the peer cannot learn the reason from this time. `begun`: the value of time.monotonic() when the request
        came.
        """
        gevent.sleep(max(0.0, begun + self._config.timeouts.refusal_delay - time.monotonic()))

    def count(self, source: str | None, side: Side = Side.CLIENT) -> None:
        """Counts a request to attach. Call this before other checks. Raises Refusal (429) if there were too many.

        Args:
            source: the key of the client's address. The limit holds for each key. If None, nothing is counted.
            side: the side of the session to which the peer wants to attach: client or agent.
        """
        self._registry.connect(source=source, side=side)

    def count_attach(self, accepted: Accepted, side: Side) -> None:
        """Counts a request to attach. Does nothing if the peer shows a ticket, because the ticket's check counts it."""
        if accepted.ticket is None:
            self.count(accepted.source, side)

    def count_login(self, login: str) -> None:
        """Counts a signed request about the sessions of a login. Raises Refusal (429) if there were too many."""
        self._registry.connect(proved=SessionName("", login))

    def enter_signed(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Checks the signature of a request to attach, then does the same as `enter`. Returns what `enter` returns.

        Call access.check for Resource.SIGNED_ATTACH first.

        Two kinds of peer need no signature. A peer that comes back shows a ticket. An agent that was called for one
        more client sends a secret value, which only the agent of the session knows.

        Raises:
            Refusal: the signature does not allow the peer to attach to the session, or `enter` refuses the peer.
            Exception: what `accept` raises.
        """
        if accepted.ticket is not None or (side is Side.AGENT and accepted.leg):
            return self.enter(accepted, name, side, accept)
        authenticator = self._authenticator
        assert accepted.request is not None
        assert authenticator is not None
        grant = authenticator.check(accepted.request, name, side)
        self._registry.connect(proved=name, side=side)
        reservation, client = self.single_use.reserve(grant), accepted.client
        try:
            refusal = self._enter(accepted, name, side, accept, reservation)
        except BaseException as error:
            reservation.give_back()
            if isinstance(error, Refusal) and error.status == 404:
                raise unknown(_NO_SUCH_SESSION) from None
            raise
        if refusal is not None:
            reservation.give_back()
            return unknown(_NO_SUCH_SESSION) if refusal.status == 404 else refusal
        _log_attached(name, side, client, grant)
        return None

    def enter_forwarded(
        self, accepted: Accepted, name: SessionName, side: Side, accept: Accept, reserved: ReservedMark | None
    ) -> None:
        """Attaches a peer that another reflector has admitted and counted. Does not forward the peer again.

        A client that would begin a new session here is refused. It may begin one only in the reflector to which it has
        connected.

        Args:
            accept: tells the peer that it is accepted, and returns the peer's transport.
            reserved: the other reflector's reservation of the peer's signature. None if the peer needs no signature.

        Raises:
            Refusal: the peer is refused, and has received no answer yet.
            Exception: what `accept` raises.
        """
        reservation = None if reserved is None else self.single_use.adopt(reserved)
        try:
            right: Right = reservation
            if accepted.ticket is not None:
                right = self._by_ticket.check(accepted, name, side)
            elif name.login and reserved is None and not accepted.leg:
                raise Refusal(404, "there is no such session")
            elif self._opens(accepted, name, side):
                raise Refusal(503, "the session has just ended in another reflector", retry_after=1)
            self._attach(accepted, name, side, accept, right)
        except Elsewhere:
            raise Refusal(503, "the session is moving to another reflector", retry_after=1) from None
        except BaseException as error:
            if reservation is not None:
                reservation.give_back()
            if isinstance(error, Refusal) and name.login and error.status == 404:
                raise unknown("carried, but there is no such session") from None
            raise

    def enter(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Attaches a peer that has passed the checks, or forwards it to the reflector that owns the session.

        A client may also begin a new session in this reflector.

        Returns None if the peer was attached or forwarded. If the other reflector has refused the peer and has sent the
        answer, returns the refusal, for the log only.

        Args:
            accept: tells the peer that it is accepted, and returns the peer's transport.

        Raises:
            Refusal: the peer is refused, and has received no answer yet.
            Exception: what `accept` raises.
        """
        right = None if accepted.ticket is None else self._by_ticket.check(accepted, name, side)
        return self._enter(accepted, name, side, accept, right)

    def _enter(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept, right: Right) -> Refusal | None:
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
            self._attach(accepted, name, side, accept, right, gone)
        except Elsewhere as lives:  # another peer has just opened it there, or an agent holds it there
            return self._forward(accepted, lives.owner, name, side, right)
        return None

    def _forward(self, accepted: Accepted, owner: Owner, name: SessionName, side: Side, right: Right) -> Refusal | None:
        if self._forwarder is None:
            raise Refusal(409, HAS_CLIENT)
        accepted.private = self.desk.is_private(accepted)
        reserved = right.reserved if isinstance(right, Reservation) else None
        refusal = self._forwarder.forward(accepted, owner, name, side, reserved)
        if refusal is None and isinstance(right, Reservation):
            right.settled_elsewhere()
        return refusal

    def _attach(
        self,
        accepted: Accepted,
        name: SessionName,
        side: Side,
        accept: Accept,
        right: Right,
        gone: Owner | None = None,
    ) -> None:
        back = right if isinstance(right, Ticket) else None
        if back is not None and self._registry.birth_of(name) != back.birth:
            self.desk.check_not_over(name, back)
        pair = self._pair(accepted, name, side, back, gone)
        pair.is_forwarded |= accepted.forwarded
        try:
            if isinstance(right, Reservation):
                right.confirm()
                _check_both_ends(accepted, pair, side)  # confirming may have taken seconds
                right.settle()
            given: LinkTicket | None = None
            if isinstance(pair, Home) or (side is Side.CLIENT and self.desk.keeps(accepted)):
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

    def _opens(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
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
            return self._registry.hold(name, accepted.client, self.desk.hold_of(accepted), incarnation, back, gone)
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


def _log_attached(name: SessionName, side: Side, address: str, grant: Grant) -> None:
    key = {"login": name.login, "user": grant.key_id.user, "key": grant.key_id.fingerprint}
    log.info("attached", client=address, session=name.session_id, side=side.value, **key)

"""Decides whether a peer may attach to a session, and attaches the peer. Both fronts use it, HTTP and raw TCP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import gevent
import structlog

from medusa.directory import Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.signature import KeyId, key_id_of
from medusa.reflector.auth.authenticator import Authenticator, Grant, unknown
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.single_use import Reservation, ReservedMark, SingleUse
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import site
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import Refusal, Unreachable
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.registry import Registry
from medusa.reflector.tickets.desk import LinkTicket, bad_ticket
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import Input, Side
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
    """The interface to forward peers to the other reflectors of the site."""

    def forward(
        self, accepted: Accepted, owner: Owner, name: SessionName, side: Side, reserved: ReservedMark | None
    ) -> Refusal | None:
        """Forwards a peer to the reflector that owns its session; see medusa.reflector.cluster.forward_out."""


class Admission:
    """The admission of peers to the sessions of one reflector. Both fronts use it.

    Args:
        authenticator: checks the signatures of requests. None if there are no accounts.
        forwarder: forwards peers to other reflectors. None if no other reflector shares the directory.

    Attributes:
        single_use: the signatures that were used.
        desk: gives tickets, and checks them.
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

    def hold_back(self, begun: float) -> None:
        """Waits before a refusal is sent, so that the peer cannot learn the reason from the time that passed.

        `begun`: the value of time.monotonic() when the request came.
        """
        gevent.sleep(max(0.0, begun + self._config.timeouts.refusal_delay - time.monotonic()))

    def count(self, source: str | None, side: Side = Side.CLIENT) -> None:
        """Counts a request to attach. Call this before other checks. Raises Refusal (429) if there were too many.

        Args:
            source: the key of the client's address under which the request is counted. None not to count it.
            side: the side of the session to which the peer wants to attach: client or agent.
        """
        self._registry.connect(source=source, side=side)

    def count_attach(self, accepted: Accepted, side: Side) -> None:
        """Counts a request to attach, unless the peer shows a ticket: that is counted when the ticket was checked."""
        if accepted.ticket is None:
            self.count(accepted.source, side)

    def count_login(self, login: str) -> None:
        """Counts a request for the list of a login's sessions. Raises Refusal (429) if there were too many."""
        self._registry.connect(proved=SessionName("", login))

    def enter_signed(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Authenticates the connection's request, then attaches the peer as `enter` does.

        An agent that was called for a client that has joined is not authenticated here. It sends a secret value, which
        the reflector has told to the session's agent only.

        Call access.check for Resource.SIGNED_ATTACH first. Returns what `enter` returns. Raises what `enter` raises,
        and Refusal if the signature does not allow the peer to attach to the session.
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

        Raises what `enter` raises. A client that does not join a session is refused, because its session would begin
        at the other reflector.

        Args:
            reserved: the other reflector's reservation of the peer's signature. None if the peer needs no signature.
        """
        reservation = None if reserved is None else self.single_use.adopt(reserved)
        try:
            right: Right = reservation
            if accepted.ticket is not None:
                right = self._check_ticket(accepted, name, side)
            elif not _comes_second(accepted, side) or (name.login and reserved is None and not accepted.leg):
                raise Refusal(404, "there is no such session")
            self._attach(accepted, name, side, accept, right)
        except BaseException as error:
            if reservation is not None:
                reservation.give_back()
            if isinstance(error, Refusal) and name.login and error.status == 404:
                raise unknown("carried, but there is no such session") from None
            raise

    def enter(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Attaches a peer that has passed the checks. A client begins a new session in this reflector.

        An agent, and a client that joins a session, is forwarded if the session lives in another reflector. If that
        reflector refuses the peer, it also sends the answer. Then this method returns the refusal, for the log only. In
        all other cases it returns None.

        Raises:
            Refusal: the peer is refused, and has received no answer yet.
            Exception: what `accept` raises.
        """
        right = None if accepted.ticket is None else self._check_ticket(accepted, name, side)
        return self._enter(accepted, name, side, accept, right)

    def _check_ticket(self, accepted: Accepted, name: SessionName, side: Side) -> Ticket:
        """Returns what the peer's ticket says. Raises Refusal: 403 if it is not valid, 429 if it came too often."""
        try:
            ticket = self.desk.read(accepted, name, side)
            if name.login:
                self._check_key(accepted, name, ticket)
        except Refusal:
            if not accepted.forwarded:
                self.count(accepted.source, side)
            raise
        if not accepted.forwarded:
            self._registry.come_back(name, side)
        return ticket

    def _check_key(self, accepted: Accepted, name: SessionName, ticket: Ticket) -> None:
        """Checks that the key which the ticket names still belongs to the account. Raises Refusal (403)."""
        assert accepted.request is not None
        assert self._authenticator is not None
        if not accepted.forwarded:
            self._authenticator.check_host(accepted.request)
        if not self._authenticator.has_key(KeyId(name.login, ticket.user or None, ticket.fingerprint)):
            raise bad_ticket("the account has no longer the key " + ticket.fingerprint)

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
                accepted.private = self.desk.is_private(accepted)
                reserved = right.reserved if isinstance(right, Reservation) else None
                try:
                    refusal = self._forwarder.forward(accepted, owner, name, side, reserved)
                except Unreachable:
                    if not isinstance(right, Ticket):
                        raise
                    gone = owner
                else:
                    if refusal is None and isinstance(right, Reservation):
                        right.settled_elsewhere()
                    return refusal
        self._attach(accepted, name, side, accept, right, gone)
        return None

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
            if side is Side.CLIENT and self.desk.keeps(accepted):
                self._give_ticket(accepted, name, side, back)
            transport = accept()
        except BaseException:
            pair.tell(Input.CLIENT_REFUSED if side is Side.CLIENT else Input.AGENT_REFUSED)
            raise
        pair.attach(side, transport, accepted.client, site(accepted.host), accepted.announced, accepted.about)

    def _give_ticket(self, accepted: Accepted, name: SessionName, side: Side, back: Ticket | None) -> LinkTicket | None:
        """Gives the peer a ticket, which the answer to its request carries. Returns None if there is none."""
        tickets = self._registry.tickets_of(name)
        if tickets is None:
            return None
        if back is not None:
            tickets.admit(back)
            user, fingerprint = back.user, back.fingerprint
        else:
            user, fingerprint = _signer(accepted) if name.login else ("", "")
        given = tickets.give(side, self.desk.hold_of(accepted), accepted.incarnation, user, fingerprint)
        accepted.granted = given.fields()
        return given if accepted.granted else None

    def _pair(self, accepted: Accepted, name: SessionName, side: Side, back: Ticket | None, gone: Owner | None) -> Pair:
        """Returns the pair of the session `name` in which the peer gets a place. Raises Refusal; see Registry.

        Args:
            back: the ticket by which the peer comes back.
            gone: the owner of the session, which cannot be connected to, and whose claim is replaced.
        """
        if side is Side.AGENT:
            return self._registry.add_agent(name, accepted.client, accepted.leg, accepted.about)
        if accepted.joins:
            return self._registry.join(name, accepted.client, accepted.source)
        return self._registry.open(name, accepted.client, accepted.source)


def _comes_second(accepted: Accepted, side: Side) -> bool:
    """Returns True if the peer asks for a session that exists already. Such a peer is forwarded to the owner."""
    return side is Side.AGENT or accepted.joins or accepted.ticket is not None


def _signer(accepted: Accepted) -> tuple[str, str]:
    """Returns the user and the fingerprint of the key that the request names. Its signature was checked before."""
    assert accepted.request is not None
    key_id = key_id_of(accepted.request)
    return key_id.user or "", key_id.fingerprint


def _check_both_ends(accepted: Accepted, pair: Pair, side: Side) -> None:
    """Checks that the pair still expects the peer, and that the peer has not hung up.

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

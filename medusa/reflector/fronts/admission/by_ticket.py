"""Admits peers by their tickets, and gives tickets to the peers that are admitted."""

from __future__ import annotations

from collections.abc import Callable

from medusa.protocol import features
from medusa.protocol.http.signature import KeyId, key_id_of
from medusa.reflector.auth.authenticator import Authenticator
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.registry import Registry
from medusa.reflector.tickets.desk import LinkTicket, bad_ticket
from medusa.reflector.tickets.ticket import Ticket
from medusa.session import Side


class ByTicket:
    """The part of the admission that deals with tickets.

    Args:
        authenticator: knows the keys of the accounts. None if there are no accounts.
        count: counts a request to attach from an address at a side. Raises Refusal (429) if there were too many.
    """

    def __init__(
        self, registry: Registry, authenticator: Authenticator | None, count: Callable[[str | None, Side], None]
    ) -> None:
        self._registry = registry
        self._desk = registry.desk
        self._authenticator = authenticator
        self._count = count

    def check(self, accepted: Accepted, name: SessionName, side: Side) -> Ticket:
        """Returns what the peer's ticket says. Raises Refusal: 403 if it is not valid, 429 if it came too often."""
        try:
            ticket = self._desk.read(accepted, name, side)
            if name.login:
                self._check_key(accepted, name, ticket)
        except Refusal:
            if not accepted.forwarded:
                self._count(accepted.source, side)
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

    def give(self, accepted: Accepted, name: SessionName, side: Side, back: Ticket | None) -> LinkTicket | None:
        """Gives the peer a ticket, which the answer to its request carries. Returns None if there is none."""
        tickets = self._registry.tickets_of(name)
        if tickets is None:
            return None
        if back is not None:
            tickets.admit(back)
            user, fingerprint = back.user, back.fingerprint
        else:
            user, fingerprint = _signer(accepted) if name.login else ("", "")
        incarnation = incarnation_of(accepted, back) if side is Side.AGENT else ""
        given = tickets.give(side, self._desk.hold_of(accepted), incarnation, user, fingerprint)
        accepted.granted = given.fields()
        return given if accepted.granted else None

    def holds(self, accepted: Accepted, name: SessionName, back: Ticket | None) -> bool:
        """Returns True if an agent holds its session by this connection: it can be called, and may have a ticket."""
        named = bool(incarnation_of(accepted, back)) and features.CALL in accepted.announced
        return named and not accepted.leg and self._desk.keeps(accepted) and self._registry.can_hold(name)


def incarnation_of(accepted: Accepted, back: Ticket | None) -> str:
    """Returns what names the process of an agent. A ticket is believed more than the request; "" if nothing is said."""
    return (back.incarnation if back is not None else "") or accepted.incarnation


def _signer(accepted: Accepted) -> tuple[str, str]:
    """Returns the user and the fingerprint of the key that the request names. Its signature was checked before."""
    assert accepted.request is not None
    key_id = key_id_of(accepted.request)
    return key_id.user or "", key_id.fingerprint

"""Admits peers by their tickets, and gives tickets to peers. With its ticket, a peer comes back to its session."""

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
    """The part of the admission that gives and checks tickets, by which peers come back to their sessions.

    Args:
        authenticator: knows the keys of the accounts. None if there are no accounts.
        count: counts a request to attach by its address and its side (client or agent). Raises Refusal (429) if there
            were too many.
    """

    def __init__(
        self, registry: Registry, authenticator: Authenticator | None, count: Callable[[str | None, Side], None]
    ) -> None:
        self._registry = registry
        self._desk = registry.desk
        self._authenticator = authenticator
        self._count = count

    def check(self, accepted: Accepted, name: SessionName, side: Side) -> Ticket:
        """Checks the ticket that the peer shows, and returns its content.

        Raises:
            Refusal: 403 if the ticket is not valid, 429 if there were too many such requests.
        """
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
        """Raises Refusal (403) if the key that the ticket names no longer belongs to the account."""
        assert accepted.request is not None
        assert self._authenticator is not None
        if not accepted.forwarded:
            self._authenticator.check_host(accepted.request)
        if not self._authenticator.has_key(KeyId(name.login, ticket.user or None, ticket.fingerprint)):
            raise bad_ticket("the account has no longer the key " + ticket.fingerprint)

    def give(self, accepted: Accepted, name: SessionName, side: Side, back: Ticket | None) -> LinkTicket | None:
        """Makes a ticket for the peer, and adds it to the answer to the peer's request. Returns the ticket.

        Returns None if the peer gets no ticket, for example because the session does not live here.

        Args:
            back: the ticket by which the peer has come back. None if it has shown no ticket.
        """
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
        """Returns True if the peer, an agent, will hold its session open by this connection.

        Such an agent can be asked to dial for further clients, and may get a ticket. `back`: the agent's ticket; None
        if it has shown none.
        """
        named = bool(incarnation_of(accepted, back)) and features.CALL in accepted.announced
        return named and not accepted.leg and self._desk.keeps(accepted) and self._registry.can_hold(name)


def incarnation_of(accepted: Accepted, back: Ticket | None) -> str:
    """Returns the text that names the process of an agent; "" if the agent has sent none.

    The text in the ticket `back` is preferred to the text in the request.
    """
    return (back.incarnation if back is not None else "") or accepted.incarnation


def _signer(accepted: Accepted) -> tuple[str, str]:
    """Returns the user and the fingerprint of the key that has signed the request. The signature was checked before.

    The user is "" if the key belongs to the account itself.
    """
    assert accepted.request is not None
    key_id = key_id_of(accepted.request)
    return key_id.user or "", key_id.fingerprint

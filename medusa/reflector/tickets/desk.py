"""Gives tickets to peers, and checks the tickets of peers that come back to their sessions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from medusa.directory import BrokenEntry, DirectoryError
from medusa.protocol import features
from medusa.protocol.http.own_header import Field
from medusa.protocol.resume.offer import MAX_KEEP
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import is_forwarded, is_loopback, within
from medusa.reflector.net.listen import HTTP
from medusa.reflector.refusal import Refusal, broken_entry, directory_away
from medusa.reflector.session_name import SessionName
from medusa.reflector.tickets.ended import EndedHere, mark_of
from medusa.reflector.tickets.key import ticket_key
from medusa.reflector.tickets.ticket import BadTicket, Ticket, build, life, read
from medusa.session import Side

log = structlog.get_logger(component="tickets")

PRIVATE_DOOR = "Medusa-Door"
"""The header field by which a reflector that forwards a peer says that the peer may get a ticket; its value is `1`."""

REFUSED = "there is no such session, or this ticket does not open it"
OVER = "the session is over"


class Ended(Protocol):
    """The interface of an object that remembers which sessions have ended. A mark is the name of one such session."""

    def add(self, mark: str, until: int) -> None:
        """Keeps `mark` until the time `until`, in seconds since 1970. Does not block, and raises nothing."""

    def __contains__(self, mark: str) -> bool:
        """True if the session that `mark` names has ended. May block. Raises DirectoryError."""


class TicketDesk:
    """Gives tickets to peers, and checks the tickets of peers that come back.

    Args:
        key: the key of the tickets' MACs.
        ended: remembers which sessions have ended.
        clock: returns seconds since 1970.
    """

    def __init__(self, config: ReflectorConfig, key: bytes, ended: Ended, clock: Callable[[], float]) -> None:
        self._config = config
        self._key = key
        self.ended = ended
        self.clock = clock

    @classmethod
    def of_this_process(cls, config: ReflectorConfig) -> TicketDesk:
        """Returns a TicketDesk whose tickets are valid in this process only."""
        return cls(config, ticket_key(b"", None), EndedHere(None, time.time), time.time)

    def keeps(self, accepted: Accepted) -> bool:
        """Returns True if the peer of a connection gets a ticket. This is so if all of these conditions are met:

        - The peer announces the feature `hold`: it comes back after a lost connection.
        - The peer does not use raw TCP without frames.
        - The session is kept for more than 0 seconds while the peer is away; see `hold_of`.
        - Nobody between the peer and this reflector can read the ticket; see `is_private`.
        """
        return accepted.holds and not accepted.plain and self.hold_of(accepted) > 0 and self.is_private(accepted)

    def is_private(self, accepted: Accepted) -> bool:
        """Returns True if nobody on the way between the peer and this reflector can read what is sent.

        This is so if the connection uses TLS, if it is on loopback, or if the option --trusted-network says so. It is
        also so if a trusted proxy says that the peer has connected to it with TLS. If another reflector forwards the
        connection, that reflector says whether this is so.
        """
        headers = accepted.request.headers if accepted.request is not None else None
        if accepted.forwarded:
            return accepted.private
        if self._config.trusted_network or (accepted.kind == HTTP and self._config.tls_cert is not None):
            return True
        scheme = (headers.get("x-forwarded-proto") or "").lower() if headers is not None else ""
        if scheme and (accepted.proxied or self._is_proxy(accepted.address[0])):
            return scheme in ("https", "wss")
        passed_on = accepted.proxied or (accepted.kind == HTTP and headers is not None and is_forwarded(headers))
        return is_loopback(accepted.address[0]) and not passed_on

    def _is_proxy(self, host: str) -> bool:
        return is_loopback(host) or within(host, self._config.trusted_proxy)

    def hold_of(self, accepted: Accepted) -> int:
        """Returns for how many seconds the session is kept while the peer is away.

        This is the number that the peer asks for, but at most --max-hold.
        """
        most = self._config.max_hold
        return min(accepted.hold_time, int(most)) if most else accepted.hold_time

    def read(self, accepted: Accepted, name: SessionName, side: Side) -> Ticket:
        """Returns the content of the ticket that the peer of a connection has shown for the session `name`.

        Raises Refusal (403) if the ticket is not valid for `side` of this session.
        """
        try:
            return read(accepted.ticket or "", name, side, self._key, self.clock())
        except BadTicket as error:
            raise bad_ticket(str(error)) from None

    def check_not_over(self, name: SessionName, ticket: Ticket) -> None:
        """Raises Refusal if the session that `ticket` belongs to has ended. Blocks until the directory answers.

        Raises:
            Refusal: 410 if the session has ended, 503 if the directory does not answer.
        """
        try:
            over = mark_of(name, ticket.birth) in self.ended
        except BrokenEntry as error:
            raise broken_entry("this session", error) from None
        except DirectoryError:
            raise directory_away() from None
        if over:
            raise Refusal(410, OVER)

    def last_expiry(self) -> int:
        """Returns a time at which all tickets that were given until now have expired, in seconds since 1970."""
        return int(self.clock()) + 1 + life(int(self._config.max_hold) or MAX_KEEP)

    def build(self, ticket: Ticket, name: SessionName, side: Side) -> str:
        """Returns the text of a ticket for `side` of the session `name`; "" if it would be too long."""
        return build(ticket, name, side, self._key)


def bad_ticket(log_words: str) -> Refusal:
    """Returns the refusal (403) of a ticket that is not valid. `log_words`: the reason, which only the log shows."""
    return Refusal(403, REFUSED, "ticket refused: " + log_words, secret=True)


class SessionTickets:
    """Makes the tickets of one session, and makes them void when the session is over.

    Args:
        back: the ticket with which a peer has opened the session again; None for a new session.

    Attributes:
        linked_at: the time at which the session was first linked, in seconds since 1970; 0 if it was not linked yet.
        session_name: the name that the user has given the session; "" if it has none.
        void: True if no ticket may open the session again, even before the session has ended.
    """

    __slots__ = ("_births", "_desk", "_moved", "_name", "_until", "linked_at", "session_name", "void")

    def __init__(self, desk: TicketDesk, name: SessionName, back: Ticket | None = None) -> None:
        self._desk = desk
        self._name = name
        self._births = [back.birth if back is not None else secrets.token_hex(8)]
        # When the last of the tickets expires. Another process may have given some that expire after `back`.
        self._until = desk.last_expiry() if back is not None else 0
        self._moved = False
        self.linked_at = back.linked_at if back is not None else 0
        self.session_name = ""
        self.void = False

    @property
    def birth(self) -> str:
        """The random id that tells the session apart from others with the same name; see Ticket."""
        return self._births[0]

    def admit(self, ticket: Ticket) -> None:
        """Notes that a peer has come back with `ticket`. The end of this session will make that ticket void, too."""
        if ticket.birth not in self._births:
            self._births.append(ticket.birth)
            self._until = max(self._until, self._desk.last_expiry())
        self._until = max(self._until, ticket.expires)
        self.linked_at = self.linked_at or ticket.linked_at

    def linked(self) -> None:
        """Notes that a client and an agent of the session are linked. Sets `linked_at` if this is the first time."""
        self.linked_at = self.linked_at or int(self._desk.clock())

    def give(
        self, side: Side, hold: int, incarnation: str = "", user: str | None = None, fingerprint: str = ""
    ) -> LinkTicket:
        """Returns a new ticket with which a peer at `side` can come back. For the other arguments see Ticket."""
        return LinkTicket(self, side, Ticket(0, hold, 0, "", incarnation, user or "", fingerprint))

    def moved(self) -> None:
        """Keeps the session's tickets valid after its end in this process, so that peers can open the session again.

        Peers can open it here or at another reflector. Tickets that are given after this call, to peers whose
        connection is being upgraded, stay valid too. Does nothing if `void` is True.
        """
        self._moved = not self.void

    def ended(self) -> Sequence[str]:
        """Makes the session's tickets void, because the session is over. Returns the marks that name it; see Ended.

        If `moved` was called, or if all tickets have expired, does nothing and returns ().
        """
        if self._moved or self._until <= self._desk.clock():
            return ()
        marks = [mark_of(self._name, birth) for birth in self._births]
        for mark in marks:
            self._desk.ended.add(mark, self._until)
        return marks

    def build(self, ticket: Ticket, side: Side) -> tuple[str, Ticket]:
        """Makes a ticket from the data in `ticket` and in this object. Returns (its text, its content).

        The time for which the ticket is valid begins now. The text is "" if it would be too long.
        """
        expires = int(self._desk.clock()) + 1 + life(ticket.hold)
        ticket = ticket._replace(expires=expires, linked_at=self.linked_at, birth=self.birth)
        ticket = ticket._replace(session_name=self.session_name)
        self._until = max(self._until, expires)
        return self._desk.build(ticket, self._name, side), ticket


class LinkTicket:
    """The ticket of one connection, which is renewed as long as the connection lives.

    Attributes:
        text: the ticket.
        due: the time.monotonic() at which half of the ticket's life is over. The peer then needs a new ticket.
    """

    __slots__ = ("_side", "_ticket", "_tickets", "due", "text")

    def __init__(self, tickets: SessionTickets, side: Side, ticket: Ticket) -> None:
        self._tickets = tickets
        self._side = side
        self._ticket = ticket
        self.text = self.renew()

    @property
    def hold(self) -> int:
        """The seconds for which the session is kept while the peer is away."""
        return self._ticket.hold

    @property
    def incarnation(self) -> str:
        """The id of the agent's process; "" for a client."""
        return self._ticket.incarnation

    def renew(self) -> str:
        """Replaces the ticket by one that is valid for longer. Returns the text of the new one."""
        self.text, self._ticket = self._tickets.build(self._ticket, self._side)
        self.due = time.monotonic() + self._ticket.half_life
        return self.text

    def fields(self) -> tuple[Field, ...]:
        """Returns the header fields that give the ticket to the peer; () if the ticket is too long."""
        return ((features.TICKET, self.text), (features.KEPT, str(self.hold))) if self.text else ()

"""Builds and reads tickets. No I/O, no clock, no random source.

A ticket is the text `1.FIELDS.MAC`. FIELDS and MAC are written in base64url without padding. FIELDS is the text of the
fields of `Ticket` in their order, with a space between two fields; `-` stands for an empty field. MAC is an
HMAC-SHA256. It covers the version, the session's name, the side, and FIELDS. So a ticket is valid for one side of one
session of one login only. It does not contain their names, because the request that shows the ticket names them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

from medusa.reflector.session_name import SessionName
from medusa.session import Side

MAX_TICKET = 512
"""The most characters of a ticket."""

_VERSION = "1"
_TEXT = re.compile(r"1\.([A-Za-z0-9_-]{1,460})\.([A-Za-z0-9_-]{43})\Z")
_FIELDS = re.compile(r"([0-9]{1,12}) ([0-9]{1,9}) ([0-9]{1,12}) ([0-9a-f]{16}) ([0-9a-f]{32}|-) (\S+) (\S+) (\S+)\Z")


class BadTicket(Exception):
    """Raised if a ticket is malformed, forged, expired, or made for another session, side or login.

    The text is for the log. It never contains the ticket or a part of it.
    """


class Ticket(NamedTuple):
    """The content of a ticket.

    Attributes:
        expires: the time at which the ticket expires, in seconds since 1970.
        hold: the seconds for which the session is kept while the peer is away.
        linked_at: the time at which the session was first linked, in seconds since 1970; 0 if it was not linked yet.
        birth: an id of the session: 16 random hexadecimal digits. It tells the session apart from others that have the
            same name, one after another. It stays the same if the session moves to another reflector.
        incarnation: the id of the agent's process; "" for a client, and for an agent that does not send one.
        user: the user who has signed the request when the peer was first let in; "" for the account itself.
        fingerprint: the fingerprint of the key that was signed with; "" if the peer needed no signature.
        session_name: the name that the user has given the session; "" if it has none.
    """

    expires: int
    hold: int
    linked_at: int
    birth: str
    incarnation: str = ""
    user: str = ""
    fingerprint: str = ""
    session_name: str = ""

    @property
    def half_life(self) -> float:
        """Half of the time for which a ticket is valid, in seconds. After this time the peer gets a new ticket."""
        return life(self.hold) / 2


def life(hold: int) -> int:
    """Returns for how many seconds a ticket is valid: one and a half times `hold`, rounded up.

    `hold`: the seconds for which the session is kept while the peer is away.
    """
    return hold + -(-hold // 2)


def build(ticket: Ticket, name: SessionName, side: Side, key: bytes) -> str:
    """Returns the text of a ticket for `side` of the session `name`; "" if it would be longer than MAX_TICKET.

    `key`: the key of the MAC.
    """
    fields = _encoded(" ".join(str(field) or "-" for field in ticket).encode())
    text = "%s.%s.%s" % (_VERSION, fields, _encoded(_mac(key, name, side, fields)))
    return text if len(text) <= MAX_TICKET else ""


def read(text: str, name: SessionName, side: Side, key: bytes, now: float) -> Ticket:
    """Returns the content of a ticket that a peer has shown for `side` of the session `name`.

    Args:
        text: the ticket.
        key: the key of the MAC.
        now: the time in seconds since 1970.

    Raises:
        BadTicket: the ticket was not made with `key` for this session and side, or has expired.
    """
    match = _TEXT.match(text)
    if match is None:
        raise BadTicket("not of the form of a ticket")
    if not hmac.compare_digest(match[2], _encoded(_mac(key, name, side, match[1]))):
        raise BadTicket("made with another key, or for another session, side or login")
    fields = _FIELDS.match(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)).decode())
    if fields is None:
        raise BadTicket("of another version")
    expires, hold, linked_at = (int(number) for number in fields.groups()[:3])
    ticket = Ticket(expires, hold, linked_at, *("" if text == "-" else text for text in fields.groups()[3:]))
    if ticket.expires <= now:
        raise BadTicket("expired %d s ago" % (now - ticket.expires))
    return ticket


def _mac(key: bytes, name: SessionName, side: Side, fields: str) -> bytes:
    # With the lengths, no two lists of parts make the same text.
    parts = (_VERSION, str(name), side.value, fields)
    text = "".join("%d:%s" % (len(part), part) for part in parts)
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")

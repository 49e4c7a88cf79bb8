"""The name of a session: its id, and the login that it belongs to."""

from __future__ import annotations

from typing import NamedTuple

from medusa.protocol import attach_path
from medusa.protocol.errors import HandshakeError
from medusa.protocol.session_id import parse_id
from medusa.session import Side

CARRIED = "/~carried"
"""Precedes an attach path in a request of another reflector. No login begins like this."""

SESSIONS = CARRIED + "/sessions"
"""The path at which another reflector asks for the sessions that live here. A session's path may follow."""

SIDES = {attach_path.CLIENT: Side.CLIENT, attach_path.AGENT: Side.AGENT}


class SessionName(NamedTuple):
    """The same id under two logins names two sessions. A session of the internal API has no login."""

    session_id: str
    login: str = ""

    def __str__(self) -> str:
        """The name as one text. It is unambiguous: no id begins with a tilde, and no login holds a slash."""
        return f"~{self.login}/{self.session_id}" if self.login else self.session_id

    @classmethod
    def read(cls, text: str) -> SessionName:
        """The name that `text`, made by `str`, stands for."""
        login, slash, session_id = text[1:].partition("/")
        return cls(session_id, login) if slash and text.startswith("~") else cls(text)


def parse_path(path: str) -> tuple[SessionName, Side] | None:
    """The session and the side that an attach path names; None if it is no such path, or its id is not valid."""
    found = attach_path.parse(path.removeprefix(CARRIED))
    if found is None:
        return None
    try:
        return SessionName(parse_id(found.raw_id), found.login), SIDES[found.role]
    except HandshakeError:
        return None


def attach_path_of(name: SessionName, side: Side) -> str:
    """The attach path of one side of a session; the inverse of `parse_path`."""
    role = next(role for role, of in SIDES.items() if of is side)
    return attach_path.build(name.session_id, role, name.login)

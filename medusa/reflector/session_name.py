"""What a session is called: its id, and the login it belongs to."""

from __future__ import annotations

from typing import NamedTuple

from medusa.protocol import attach_path
from medusa.protocol.errors import HandshakeError
from medusa.protocol.session_id import parse_id
from medusa.session import Side

CARRIED = "/~carried"
"""Before an attach path where another reflector asks. No login begins so."""

SESSIONS = CARRIED + "/sessions"
"""Where another reflector asks for what lives here; behind it, as for administrators, one of these."""

SIDES = {attach_path.CLIENT: Side.CLIENT, attach_path.AGENT: Side.AGENT}


class SessionName(NamedTuple):
    """The same id under two logins names two sessions. No login: one that came by the internal API."""

    session_id: str
    login: str = ""

    def __str__(self) -> str:
        """Unambiguous, as no id begins with a tilde and no login holds a slash."""
        return f"~{self.login}/{self.session_id}" if self.login else self.session_id

    @classmethod
    def read(cls, text: str) -> SessionName:
        """From its string."""
        login, slash, session_id = text[1:].partition("/")
        return cls(session_id, login) if slash and text.startswith("~") else cls(text)


def named_by(path: str) -> tuple[SessionName, Side] | None:
    """What `path` is to attach to, and as what; None where it names no session, or none that could be."""
    found = attach_path.parse(path.removeprefix(CARRIED))
    if found is None:
        return None
    try:
        return SessionName(parse_id(found.raw_id), found.login), SIDES[found.role]
    except HandshakeError:
        return None


def path_of(name: SessionName, side: Side) -> str:
    """The path that is to attach to it: what `named_by` understands."""
    role = next(role for role, of in SIDES.items() if of is side)
    return attach_path.build(name.session_id, role, name.login)

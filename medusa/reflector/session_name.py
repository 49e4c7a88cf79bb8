"""The name of a session (its id and its login), and the paths of requests that contain such a name.

An attach path is the path of a request to attach to a session. It names the session and one of its sides.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from medusa.protocol import attach_path
from medusa.protocol.errors import HandshakeError
from medusa.protocol.session_id import parse_id
from medusa.session import Side

CARRIED = "/~carried"
"""The prefix of all paths that other reflectors request. It cannot be a login, because no login begins with a tilde.

Another reflector forwards an agent by a request for this prefix followed by the agent's attach path.
"""

SESSIONS = CARRIED + "/sessions"
"""The path at which another reflector asks which sessions live here.

With a session's name after it, it is the path at which another reflector ends that session.
"""

DRAINS = CARRIED + "/drains"
"""The prefix of a path at which another reflector says that it will soon stop forwarding a session's agent.

The session's name follows the prefix.
"""

_ONE_SESSION = re.compile(rf"/sessions/(?:({attach_path.LOGIN})/)?([^/]*)\Z")

SIDES = {attach_path.CLIENT: Side.CLIENT, attach_path.AGENT: Side.AGENT}


class SessionName(NamedTuple):
    """The name of a session: an id and a login. The same id with another login names another session.

    `login` is the account of the session; "" for a session of the internal API (/attach/ without a login).
    """

    session_id: str
    login: str = ""

    def __str__(self) -> str:
        """Returns the name as one text. `read` turns the text back into the name.

        No two names have the same text, because an id contains no tilde, and a login contains no slash.
        """
        return f"~{self.login}/{self.session_id}" if self.login else self.session_id

    @classmethod
    def read(cls, text: str) -> SessionName:
        """Parses a text that `str(name)` has made, and returns the name."""
        login, slash, session_id = text[1:].partition("/")
        return cls(session_id, login) if slash and text.startswith("~") else cls(text)


def parse_path(path: str) -> tuple[SessionName, Side] | None:
    """Returns the session and the side that an attach path names.

    Returns None if `path` is no attach path, or if the session id in it is invalid. An attach path may begin with
    CARRIED, as other reflectors send it.
    """
    found = attach_path.parse(path.removeprefix(CARRIED))
    if found is None:
        return None
    try:
        return SessionName(parse_id(found.raw_id), found.login), SIDES[found.role]
    except HandshakeError:
        return None


def parse_session_path(path: str) -> SessionName | None:
    """Returns the session that a path /sessions/ID, /sessions/LOGIN/ID or /LOGIN/medusa/sessions/ID names.

    Returns None for another path, or an invalid id.
    """
    found = _ONE_SESSION.match(path) or attach_path.OWN_SESSION.match(path)
    try:
        return SessionName(parse_id(found[2]), found[1] or "") if found is not None else None
    except HandshakeError:
        return None


def attach_path_of(name: SessionName, side: Side) -> str:
    """Returns the path of a request to attach to one side of a session; see `parse_path`."""
    role = next(role for role, of in SIDES.items() if of is side)
    return attach_path.build(name.session_id, role, name.login)

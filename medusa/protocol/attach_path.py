"""Builds and parses the URL path by which a client or an agent attaches to its session. No I/O.

    /attach/ID/ROLE                 the internal API: the reflector checks the address that the peer connects from
    /LOGIN/medusa/attach/ID/ROLE    the public API: the request must be signed by the account LOGIN
    /LOGIN/medusa/sessions          the public API: the list of the sessions of the account LOGIN
    /LOGIN/medusa/sessions/ID       the public API: one session of the account; a DELETE request ends it

ID is percent-encoded (RFC 3986 section 2.1). ROLE is `master` for the client and `slave` for the agent. The original
Medusa uses the same words.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import NamedTuple, Optional, Tuple

CLIENT = "master"
AGENT = "slave"
"""CLIENT and AGENT are the two values of ROLE in a path."""

NO_ACCOUNTS = "this reflector has no accounts"
"""The beginning of the reason with which a reflector without accounts refuses a path of the public API."""

LOGIN = r"[A-Za-z0-9_][A-Za-z0-9_.@+\-]{0,63}"
"""The regular expression of a login (the name of an account).

A login never begins with a dot, and holds no slash and no percent sign.
"""

_SESSION = r"/attach/([^/]*)/(%s|%s)\Z" % (CLIENT, AGENT)
INTERNAL = re.compile(_SESSION)
SIGNED = re.compile("/(%s)/medusa%s" % (LOGIN, _SESSION))
OWN_SESSIONS = re.compile(r"/(%s)/medusa/sessions\Z" % LOGIN)
OWN_SESSION = re.compile(r"/(%s)/medusa/sessions/([^/]*)\Z" % LOGIN)
"""INTERNAL, SIGNED, OWN_SESSIONS and OWN_SESSION are the regular expressions of the four kinds of path.

INTERNAL matches an attach path of the internal API. Its groups: session id (still percent-encoded), role.
SIGNED matches an attach path of the public API. Its groups: login (name of the account), session id, role.
OWN_SESSIONS matches the path of an account's list of sessions. Its group: login.
OWN_SESSION matches the path of one session of an account. Its groups: login, session id (still percent-encoded).
"""

_WITH_PREFIX = re.compile("(.*?)(?:/(%s)/medusa)?%s" % (LOGIN, _SESSION), re.DOTALL)


class AttachPath(NamedTuple):
    """The parts of an attach path.

    Attributes:
        raw_id: the session id, still percent-encoded and unchecked; `session_id.parse_id` decodes and checks it.
        role: CLIENT or AGENT.
        login: the account that signs the request; empty for the internal API.
    """

    raw_id: str
    role: str
    login: str = ""


def build(session_id: str, role: str, login: str = "") -> str:
    """Returns the path by which `role` (CLIENT or AGENT) attaches to a session.

    With a `login`, this is a path of the public API. Without a login, it is a path of the internal API.
    """
    account = "/%s/medusa" % login if login else ""
    return "%s/attach/%s/%s" % (account, urllib.parse.quote(session_id, safe="-_.~:@+"), role)


def parse(path: str) -> Optional[AttachPath]:
    """Returns the parts of `path`, or None if it is not an attach path. Remove the query from `path` first."""
    internal = INTERNAL.match(path)
    if internal:
        return AttachPath(internal.group(1), internal.group(2))
    signed = SIGNED.match(path)
    return AttachPath(signed.group(2), signed.group(3), signed.group(1)) if signed else None


def parse_after_prefix(path: str) -> Optional[Tuple[str, AttachPath]]:
    """Splits `path` into a prefix and the attach path after it. Returns None if `path` does not end in an attach path.

    Clients and agents use this function for the URL that they connect to. The prefix is for a proxy, which removes it.
    The reflector uses `parse`.

    Returns:
        (prefix, parts of the attach path)
    """
    found = _WITH_PREFIX.match(path)
    return (found.group(1), AttachPath(found.group(3), found.group(4), found.group(2) or "")) if found else None

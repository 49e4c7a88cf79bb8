"""The path by which a side attaches to its session, built and parsed here alone. No I/O.

    /attach/ID/ROLE                 the internal API: the peer is judged by where it comes from
    /LOGIN/medusa/attach/ID/ROLE    the front door: the request is signed by the account LOGIN

ID is percent-encoded (RFC 3986 section 2.1). ROLE is the original's word for a side.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import NamedTuple, Optional, Tuple

CLIENT = "master"
AGENT = "slave"
"""The two roles."""

LOGIN = r"[A-Za-z0-9_][A-Za-z0-9_.@+\-]{0,63}"
"""The regular expression of a login: it never begins with a dot and never holds a slash or a percent sign."""

_SESSION = r"/attach/([^/]*)/(%s|%s)\Z" % (CLIENT, AGENT)
INTERNAL = re.compile(_SESSION)
SIGNED = re.compile("/(%s)/medusa%s" % (LOGIN, _SESSION))
"""For a table of routes; the groups are the id as it stands in the path and the role, after the login if signed."""

_WITH_PREFIX = re.compile("(.*?)(?:/(%s)/medusa)?%s" % (LOGIN, _SESSION), re.DOTALL)


class AttachPath(NamedTuple):
    """What an attach path says.

    Attributes:
        raw_id: the session's id as it stands in the path; `session_id.parse_id` decodes and checks it.
        role: CLIENT or AGENT.
        login: the account of the front door; empty for the internal API.
    """

    raw_id: str
    role: str
    login: str = ""


def build(session_id: str, role: str, login: str = "") -> str:
    """The path for `role` (CLIENT or AGENT) of a session; of the front door if there is a `login`."""
    account = "/%s/medusa" % login if login else ""
    return "%s/attach/%s/%s" % (account, urllib.parse.quote(session_id, safe="-_.~:@+"), role)


def parse(path: str) -> Optional[AttachPath]:
    """What `path` says, without its query; None if it is not an attach path."""
    internal = INTERNAL.match(path)
    if internal:
        return AttachPath(internal.group(1), internal.group(2))
    signed = SIGNED.match(path)
    return AttachPath(signed.group(2), signed.group(3), signed.group(1)) if signed else None


def parse_after_prefix(path: str) -> Optional[Tuple[str, AttachPath]]:
    """The prefix that a proxy takes off, and what the attach path after it says; None if `path` does not end in one.

    For the user's side of a URL. The reflector must use `parse`: it serves no prefix.
    """
    found = _WITH_PREFIX.match(path)
    return (found.group(1), AttachPath(found.group(3), found.group(4), found.group(2) or "")) if found else None

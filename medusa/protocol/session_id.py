"""The ids that sessions may have."""

from __future__ import annotations

import re
import urllib.parse

from medusa.protocol.errors import HandshakeError

_ID = re.compile(r"[a-z0-9_][a-z0-9_.:@+\-]*(?:/[a-z0-9_][a-z0-9_.:@+\-]*)*\Z")
MAX_ID = 255
"""Characters. A job's id is a UUID in practice; this leaves room for a site's own scheme."""


def parse_id(raw: str) -> str:
    """The session's id in a path segment: percent-decoded, trimmed and lower-cased, as the original does.

    Raises:
        HandshakeError: 400, the segment is not an id.
    """
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        raise HandshakeError(400, "bad session id")
    try:
        session_id = urllib.parse.unquote(raw, errors="strict").strip()
    except UnicodeDecodeError:
        session_id = ""
    # Checked before lower(): some characters beyond ASCII have a lower case within ASCII.
    if not session_id.isascii() or not _ID.match(session_id.lower()) or len(session_id) > MAX_ID:
        raise HandshakeError(400, "bad session id")
    return session_id.lower()

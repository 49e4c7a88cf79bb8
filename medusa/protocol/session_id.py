"""Parses and checks session ids, and the names that users give their sessions."""

from __future__ import annotations

import functools
import re
import urllib.parse

from medusa.protocol.errors import HandshakeError

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The form of the session ids that mlogin and the agent make."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")

_ID = re.compile(r"[a-z0-9_][a-z0-9_.:@+\-]*(?:/[a-z0-9_][a-z0-9_.:@+\-]*)*\Z")
MAX_ID = 255
"""The limit of a session id, in characters. Most ids are UUIDs of jobs; a site may use longer ids of its own."""


@functools.lru_cache(maxsize=256)
def parse_id(raw: str) -> str:
    """Returns the session id in a path segment: percent-decoded, without white space around it, and in lower case.

    The original Medusa does the same.

    Raises:
        HandshakeError: with status 400, because the segment is not a legal id.
    """
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        raise HandshakeError(400, "bad session id")
    try:
        session_id = urllib.parse.unquote(raw, errors="strict").strip()
    except UnicodeDecodeError:
        session_id = ""
    # `isascii` comes before `lower`, because the lower case of some non-ASCII characters is ASCII.
    if not session_id.isascii() or not _ID.match(session_id.lower()) or len(session_id) > MAX_ID:
        raise HandshakeError(400, "bad session id")
    return session_id.lower()


def check_name(text: str) -> str:
    """Returns `text` if a user may give this name to a session (option `--name` of mlogin).

    Raises:
        ValueError: `text` is not a legal name. The error says which rule it breaks.
    """
    if UUID.fullmatch(text.lower()):
        raise ValueError("this is the form of a session's id")
    if not _NAME.fullmatch(text):
        raise ValueError("a name has 1 to 64 letters, digits and . _ - and begins with a letter, a digit or _")
    return text

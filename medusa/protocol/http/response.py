"""Reads HTTP responses: skips interim ones, finds the time of the next try, and finds where a redirect leads.

No I/O.
"""

from __future__ import annotations

from typing import Optional, Tuple
from urllib.parse import urljoin, urlsplit

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Headers, Response, ResponseHeadReader, parse_response
from medusa.protocol.printable import printable

MAX_INTERIM = 16
"""The most interim responses that are skipped."""

SWITCHING_PROTOCOLS = 101
"""The only status 1xx that is final: after it, HTTP is no longer spoken."""

MAX_RETRY_AFTER = 24 * 3600
"""The longest wait that a peer may ask for, in seconds. A longer wait counts as this one."""

_SCHEMES = ("http", "https", "ws", "wss")
_MAX_SHOWN = 200


class ResponseReader:
    """A buffer that collects bytes until it holds the head of the final response. Call `feed` with each piece.

    Interim responses (1xx, RFC 9110 section 15.2), such as 103 Early Hints, are skipped.
    """

    def __init__(self) -> None:
        self._head = ResponseHeadReader()
        self._skipped = 0

    def feed(self, data: bytes) -> Optional[Tuple[Response, bytes]]:
        """Adds `data` to the buffer. Returns None until the head of the final response is whole.

        Returns:
            (the response, bytes that came after its head)

        Raises:
            HandshakeError: the bytes are not HTTP, a head is too large, or there are too many interim responses.
        """
        while True:
            found = self._head.feed(data)
            if found is None:
                return None
            response = parse_response(found[0])
            if response.status >= 200 or response.status == SWITCHING_PROTOCOLS:
                return response, found[1]
            self._skipped += 1
            if self._skipped > MAX_INTERIM:
                raise HandshakeError(502, "more than %d interim responses" % MAX_INTERIM)
            self._head, data = ResponseHeadReader(), found[1]


def retry_after(headers: Headers) -> float:
    """Returns how many seconds the client is asked to wait before its next try. `headers` are those of the refusal.

    Returns 0 if there is no valid Retry-After, and MAX_RETRY_AFTER at most. If Retry-After is a date, the wait is
    counted from the Date of the same response. So a wrong clock at this end does no harm.
    """
    value = headers.get("retry-after") or ""
    if value.isascii() and value.isdigit():
        return float(min(int(value[:18]), MAX_RETRY_AFTER))
    then, now = timestamp(value), timestamp(headers.get("date") or "")
    return 0.0 if then is None or now is None else min(max(0.0, then - now), MAX_RETRY_AFTER)


def moved_to(status: int, location: Optional[str], url: str) -> Optional[str]:
    """Returns the URL that a redirect leads to. None if the response is no redirect, or has no valid target.

    The URL is safe to show: it is printable, and has no login, query or fragment.

    Args:
        status: the status of the response.
        location: the Location header of the response.
        url: the URL of the request.
    """
    if not 300 <= status < 400 or not location:
        return None
    try:
        parts = urlsplit(urljoin(url, location))
        known = parts.scheme in _SCHEMES and parts.hostname
    except ValueError:
        return None
    shown = "%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], parts.path)
    return printable(shown, _MAX_SHOWN) if known else None


def timestamp(date: str) -> Optional[float]:
    """Returns the time of an HTTP date, in seconds since 1970. None if it is no date."""
    from email.utils import mktime_tz, parsedate_tz  # take long to import

    try:
        found = parsedate_tz(date)
        return None if found is None else float(mktime_tz(found))
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        return None  # older versions of Python raise all of these for a text that is no date

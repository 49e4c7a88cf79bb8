"""Parses the heads of HTTP/1.x requests and responses, strictly (RFC 9112). No I/O.

Refuses each request that two programs could understand in two ways, because request smuggling relies on such requests.
"""

from __future__ import annotations

import re
from typing import AbstractSet, List, NamedTuple, Optional, Tuple

from medusa.protocol.errors import HandshakeError

MAX_HEAD = 16 * 1024
MAX_LINE = 8 * 1024
MAX_HEADERS = 100
"""The limits of a head: MAX_HEAD bytes in all, MAX_LINE bytes in one line, and MAX_HEADERS header fields.

Nginx and Apache have similar defaults. A signed request of Manta's clients has about 1 KiB.
"""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*\Z")
_ABSOLUTE = re.compile(rb"(?i:https?)://([A-Za-z0-9_.:\-\[\]]+)((?:[/?][\x21\x22\x24-\x7e]*)?)\Z")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)(.*)\Z", re.DOTALL)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\Z")
_BARE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_LINE_END = re.compile(rb"\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_DIGITS = re.compile(r"[0-9]{1,18}\Z")

_ONCE = frozenset(
    (
        "authorization",
        "content-length",
        "date",
        "host",
        "origin",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
    )
)
"""The header fields that may occur only once in a request. Otherwise two programs could each use a different one."""

_ONCE_IN_RESPONSE = frozenset(("sec-websocket-accept",))
"""The header fields that may occur only once in a response (RFC 6455 section 11.3.3).

Other fields may be repeated, because proxies and servers repeat some of them, such as Date. Even Content-Length may be
repeated: no second response follows on the connection, so a wrong length does no harm.
"""

_FOLD = re.compile(rb"\r\n[ \t]+")
"""Matches a line break inside a header field. RFC 9112 section 5.2 still allows such breaks in responses."""


class Headers:
    """The header fields of a head, in their order.

    Args:
        items: (name in lower case, value) of each field.
    """

    def __init__(self, items: List[Tuple[str, str]]) -> None:
        self.items = items
        self._first = dict(reversed(items))

    def get(self, name: str) -> Optional[str]:
        """Returns the value of the first field called `name` (lower case). None if there is no such field."""
        return self._first.get(name)

    def tokens(self, name: str) -> List[str]:
        """Returns the comma-separated tokens of all fields called `name` (lower case). The tokens are in lower case."""
        if name not in self._first:
            return []
        values = ",".join([value for key, value in self.items if key == name])
        return [token.strip().lower() for token in values.split(",") if token.strip()]


class Request(NamedTuple):
    """The head of a request. `target` is its path and query, byte for byte as the peer sent them."""

    method: str
    target: str
    version: str
    headers: Headers


class Response(NamedTuple):
    """The head of a response: its status, its reason phrase and its header fields."""

    status: int
    reason: str
    headers: Headers


class HeadReader:
    """A buffer that collects bytes until it holds a whole head. Call `feed` with each piece from the stream."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def empty(self) -> bool:
        """True if no byte has come yet."""
        return not self._data

    def feed(self, data: bytes) -> Optional[Tuple[bytes, bytes]]:
        """Adds `data` to the buffer. Returns None until the head is whole.

        Returns:
            (head without the empty line at its end, bytes that came after the head)

        Raises:
            HandshakeError: with status 400, because the head is larger than MAX_HEAD, or a line of it does not end with
                CR LF. Such a head might never become whole, and the peer would wait for an answer.
        """
        searched = max(0, len(self._data) - 3)
        self._data += data
        end = self._data.find(b"\r\n\r\n", searched)
        if _BARE.search(self._data, searched, min(MAX_HEAD + 4, len(self._data) if end < 0 else end + 1)):
            raise HandshakeError(400, "a line of the head does not end with CR LF")
        _check_size(len(self._data) - 3 if end < 0 else end)
        if end < 0:
            return None
        return bytes(self._data[:end]), bytes(self._data[end + 4 :])


class ResponseHeadReader:
    """A buffer that collects bytes until it holds the whole head of a response. Lines may also end with LF alone.

    RFC 9112 section 2.2 allows a recipient to accept such lines, and some proxies send them. This is safe, because the
    client sends only one request on a connection: nothing can be smuggled into a response.
    """

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Optional[Tuple[bytes, bytes]]:
        """Adds `data` to the buffer. Returns None until the head is whole.

        Returns:
            (head without the empty line at its end, and with CR LF at the end of each line; bytes that came after the
            head)

        Raises:
            HandshakeError: with status 400, because the head is larger than MAX_HEAD.
        """
        searched = max(0, len(self._data) - 3)
        self._data += data
        end = _EMPTY_LINE.search(self._data, searched)
        _check_size(len(self._data) - 3 if end is None else end.start())
        if end is None:
            return None
        return _LINE_END.sub(b"\r\n", bytes(self._data[: end.start()])), bytes(self._data[end.end() :])


def _check_size(size: int) -> None:
    if size > MAX_HEAD:
        raise HandshakeError(400, "head above %d bytes" % MAX_HEAD)


def parse_request(head: bytes) -> Request:
    """Parses the whole head of a request.

    A request with a whole URL (`GET http://HOST/PATH`) is turned into a request with a path (`GET /PATH`). The host in
    the URL replaces the Host header, as RFC 9112 section 3.2.2 says.

    Raises:
        HandshakeError: with status 400. The text says which rule the head breaks.
    """
    lines = _lines(head)
    words = lines[0].split(b" ")
    if len(words) != 3 or not _TOKEN.match(words[0]):
        raise HandshakeError(400, "bad request line")
    absolute = _ABSOLUTE.match(words[1])
    if not absolute and not _TARGET.match(words[1]):
        raise HandshakeError(400, "bad request target")
    if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise HandshakeError(400, "bad HTTP version")
    headers = _headers(lines[1:], _ONCE)
    length = headers.get("content-length")
    if length is not None and (headers.get("transfer-encoding") is not None or not _DIGITS.match(length)):
        raise HandshakeError(400, "bad or ambiguous Content-Length")
    if words[2] == b"HTTP/1.1" and headers.get("host") is None:
        raise HandshakeError(400, "no Host header")
    target = words[1].decode("ascii")
    if absolute:
        host, target = (part.decode("ascii") for part in absolute.groups())
        headers = Headers([("host", host), *(item for item in headers.items if item[0] != "host")])
        target = target if target.startswith("/") else "/" + target
    return Request(words[0].decode("ascii"), target, words[2].decode("ascii"), headers)


def parse_response(head: bytes) -> Response:
    """Parses the whole head of a response. Does not check the Content-Length.

    Raises:
        HandshakeError: with status 502, because `head` is not the head of an HTTP response.
    """
    try:
        lines = _lines(_FOLD.sub(b" ", head))
        match = _STATUS.match(lines[0])
        if match is None:
            raise HandshakeError(502, "bad status line")
        headers = _headers(lines[1:], _ONCE_IN_RESPONSE)
    except HandshakeError as error:
        raise HandshakeError(502, "not an HTTP response: %s" % error) from None
    return Response(int(match.group(1)), (match.group(2) or b"").decode("latin-1"), headers)


def has_body(headers: Headers) -> bool:
    """Returns True if a request with these headers announces a body."""
    return headers.get("transfer-encoding") is not None or int(headers.get("content-length") or 0) > 0


def _lines(head: bytes) -> List[bytes]:
    lines = head.split(b"\r\n")
    if any(len(line) > MAX_LINE for line in lines):
        raise HandshakeError(400, "line above %d bytes" % MAX_LINE)
    if len(lines) > MAX_HEADERS + 1:
        raise HandshakeError(400, "more than %d headers" % MAX_HEADERS)
    return lines


def _headers(lines: List[bytes], once: AbstractSet[str]) -> Headers:
    items: List[Tuple[str, str]] = []
    seen = set()
    for line in lines:
        # The pattern also refuses a bare CR or LF, a NUL, a folded line and a space before the colon, because programs
        # disagree about what these mean.
        found = _FIELD.match(line)
        if found is None:
            raise HandshakeError(400, "bad header name")
        name, value, wrong = found.groups()
        if wrong:
            raise HandshakeError(400, "bad character in a header")
        key = name.decode("ascii").lower()
        if key in seen and key in once:
            raise HandshakeError(400, "%s given twice" % key)
        seen.add(key)
        items.append((key, value.rstrip(b" \t").decode("latin-1")))
    return Headers(items)

"""Builds and checks the requests and responses of the websocket upgrade (RFC 6455 section 4). No I/O.

It is more tolerant than the RFC in one point: a request without Sec-WebSocket-Version counts as version 13, because
Manta's programs send such requests.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Iterable, Tuple

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Request, Response, has_body

VERSION = "13"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(key: str) -> str:
    """Returns the value of Sec-WebSocket-Accept that answers the Sec-WebSocket-Key `key` (RFC 6455 section 4.2.2)."""
    # RFC 6455 prescribes SHA-1. No secret depends on it.
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID).digest()).decode("ascii")  # noqa: S324


def check_upgrade(request: Request) -> str:
    """Checks that a client's request asks correctly for a websocket. Returns its Sec-WebSocket-Key.

    Raises:
        HandshakeError: with status 405 if the method is not GET, 426 for a websocket version other than 13, else 400.
    """
    headers = request.headers
    if request.method != "GET":
        raise HandshakeError(405, "only GET can be upgraded", (("Allow", "GET"),))
    if "websocket" not in headers.tokens("upgrade") or "upgrade" not in headers.tokens("connection"):
        raise HandshakeError(400, "not a websocket upgrade")
    if request.version != "HTTP/1.1":
        raise HandshakeError(400, "a websocket upgrade needs HTTP/1.1")
    if has_body(headers):
        raise HandshakeError(400, "a websocket upgrade has no body")
    if headers.get("sec-websocket-version") not in (None, VERSION):
        raise HandshakeError(426, "only websocket version 13 is spoken", (("Sec-WebSocket-Version", VERSION),))
    key = headers.get("sec-websocket-key") or ""
    try:
        raw = base64.b64decode(key.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    if len(raw) != 16:
        raise HandshakeError(400, "bad Sec-WebSocket-Key")
    return key


def build_upgrade(host: str, target: str, key: str, headers: Iterable[Tuple[str, str]] = ()) -> bytes:
    """Returns a client's request for a websocket.

    Args:
        host: the value of the Host header. The server compares a signed URL byte for byte, so give it as in the URL.
        target: path and query, also as in the URL.
        key: the value of the Sec-WebSocket-Key header.
        headers: (name, value) of further headers.
    """
    lines = ["GET %s HTTP/1.1" % target, "Host: %s" % host, "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: " + VERSION, "Sec-WebSocket-Key: " + key]
    lines += ["%s: %s" % header for header in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def check_accepted(response: Response, key: str) -> None:
    """Checks that the server accepted the upgrade (RFC 6455 section 4.1).

    Args:
        key: the Sec-WebSocket-Key of the request.

    Raises:
        HandshakeError: with the server's status if the server refused, with 502 if its answer breaks the rules.
    """
    if response.status != 101:
        raise HandshakeError(response.status, response.reason or "no reason given")
    headers = response.headers
    if headers.tokens("upgrade") != ["websocket"] or "upgrade" not in headers.tokens("connection"):
        raise HandshakeError(502, "answered 101 without upgrading to a websocket")
    if headers.get("sec-websocket-accept") != accept_value(key):
        raise HandshakeError(502, "wrong Sec-WebSocket-Accept")
    if headers.tokens("sec-websocket-extensions") or headers.tokens("sec-websocket-protocol"):
        raise HandshakeError(502, "an extension or subprotocol nobody asked for")

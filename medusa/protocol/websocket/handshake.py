"""The websocket upgrade (RFC 6455 section 4), both ends. No I/O.

One point is more tolerant than the RFC: a request without Sec-WebSocket-Version, as Manta's programs send it, counts as
version 13.
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
    """Sec-WebSocket-Accept for a key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID).digest()).decode("ascii")  # noqa: S324


def check_upgrade(request: Request) -> str:
    """The key of a request that may be upgraded.

    Raises:
        HandshakeError: 405 if it is not a GET, 426 for another websocket version, else 400.
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
    """A client's request. `host` and `target` are sent as they are: a signed URL is compared byte for byte."""
    lines = ["GET %s HTTP/1.1" % target, "Host: %s" % host, "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: " + VERSION, "Sec-WebSocket-Key: " + key]
    lines += ["%s: %s" % header for header in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def check_accepted(response: Response, key: str) -> None:
    """Check that the server accepted the upgrade (section 4.1).

    Raises:
        HandshakeError: the server's own status if it refused, 502 if its answer is wrong.
    """
    if response.status != 101:
        raise HandshakeError(response.status, response.reason or "no reason given")
    headers = response.headers
    if headers.tokens("upgrade") != ["websocket"] or "upgrade" not in headers.tokens("connection"):
        raise HandshakeError(502, "answered 101 without upgrading to a websocket")
    if headers.get("sec-websocket-accept") != accept_value(key):
        raise HandshakeError(502, "wrong Sec-WebSocket-Accept")
    if headers.get("sec-websocket-extensions") or headers.get("sec-websocket-protocol"):
        raise HandshakeError(502, "an extension or subprotocol nobody asked for")

"""Websocket transports: `connect` for who dials, `adopt` for who was dialled."""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import Iterable, Optional, Tuple, Union

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Response
from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.websocket.codec import Role, WebSocketConnection
from medusa.protocol.websocket.handshake import build_upgrade, check_accepted
from medusa.transports.base import Transport
from medusa.transports.dial import (
    CONNECT_TIMEOUT,
    RETRYABLE,
    ConnectRefused,
    open_socket,
    parse_url,
    read_response,
    remaining,
)
from medusa.transports.tls import TlsSocket, over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medusa.transports.relayed import RelayedTransport

__all__ = ["ConnectRefused", "adopt", "connect", "connect_over"]


def connect(
    url: str,
    *,
    insecure_tls: bool = False,
    timeout: float = CONNECT_TIMEOUT,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
) -> Transport:
    """A link to `url` (ws, wss, http, https), through the environment's proxy.

    Raises:
        ConnectRefused: with the HTTP status where there was one, and whether to try again.
    """
    deadline = time.monotonic() + timeout
    target = parse_url(url)
    sock = open_socket(target, insecure_tls, deadline)
    return connect_over(sock, target.netloc, target.target, deadline, headers, max_message)


def connect_over(
    sock: Union[socket.socket, TlsSocket],
    host: str,
    target: str,
    deadline: float,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
) -> Transport:
    """The upgrade on a connected socket, which this owns from here on. Raises ConnectRefused."""
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    try:
        sock.settimeout(remaining(deadline))
        sock.sendall(build_upgrade(host, target, key, headers))
        response, rest = read_response(sock, deadline)
        check_accepted(response, key)
    except HandshakeError as error:
        reason = _explanation(sock, response, rest, deadline) or str(error)
        sock.close()
        status = response.status if response.status != 101 else None
        raise ConnectRefused(reason, status, error.http_status in RETRYABLE) from None
    except OSError as error:
        sock.close()
        raise ConnectRefused("the connection failed: %s" % (error.strerror or error)) from None
    except BaseException:
        sock.close()
        raise
    codec = WebSocketConnection(Role.CLIENT, _new_key, max_message)
    return Transport(over(sock), codec, leftover=rest)


def adopt(
    sock: Union[socket.socket, TlsSocket],
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """The server's end of an upgraded socket.

    Args:
        leftover: bytes that were read behind the request head.
        scratch: as RelayedTransport's.
    """
    from medusa.protocol.websocket.relay import WebSocketRelay  # neither travels with the agent
    from medusa.transports.relayed import RelayedTransport

    codec = WebSocketConnection(Role.SERVER, _new_key, max_message)
    return RelayedTransport(over(sock), codec, WebSocketRelay(max_message), leftover, scratch)


def _new_key() -> bytes:
    return os.urandom(4)


def _explanation(sock: Union[socket.socket, TlsSocket], response: Response, body: bytes, deadline: float) -> str:
    """The first line of a refusal's text body: what the server has to say to a person."""
    if not (response.headers.get("content-type") or "").startswith("text/plain"):
        return ""
    length = response.headers.get("content-length") or ""
    wanted = min(1024, int(length)) if length.isdigit() else 1024
    deadline = min(deadline, time.monotonic() + 1.0)
    try:
        while len(body) < wanted and time.monotonic() < deadline:
            sock.settimeout(remaining(deadline))
            data = sock.recv(wanted - len(body))
            if not data:
                break
            body += data
    except OSError:
        pass
    return body.decode("utf-8", "replace").strip().partition("\n")[0]

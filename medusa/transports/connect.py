"""Opens the client's end of a link: `connect` connects to a URL, by a websocket or by raw TCP with frames."""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import Iterable, List, Optional, Tuple, Union

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Response
from medusa.protocol.http.response import SWITCHING_PROTOCOLS
from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.greeting import REFUSED, LineReader, build_framed, check_answer
from medusa.protocol.raw.words import older_headers
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.handshake import build_upgrade, check_accepted
from medusa.transports.base import Transport
from medusa.transports.dial import CONNECT_TIMEOUT, RETRYABLE, ConnectRefused, is_raw, open_socket, parse_url
from medusa.transports.dial.answer import read_answer, read_response, remaining
from medusa.transports.dial.errors import refusal
from medusa.transports.dial.target import Target
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsSocket, stream_over


def connect(
    url: str,
    *,
    insecure_tls: bool = False,
    timeout: float = CONNECT_TIMEOUT,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
) -> Transport:
    """Opens a link to `url`, through the proxy that the environment variables name, if any.

    A tcp:// URL gives raw TCP with frames, without TLS; other URLs give a websocket.

    Args:
        insecure_tls: True to accept any certificate.
        timeout: the time limit for everything together, in seconds.
        headers: (name, value) of further header fields of the request. For raw TCP, the fields of
            medusa.protocol.features become words of the greeting; the others are left out. If the reflector is too old
            to know these words, the greeting is sent again without them.
        max_message: the limit of one message, in bytes.

    Raises:
        ConnectRefused: the connection failed, or the server refused. The error says whether to try again.
    """
    deadline = time.monotonic() + timeout
    if is_raw(url):
        return _connect_raw(parse_url(url), deadline, list(headers), max_message)
    target = parse_url(url)
    sock = open_socket(target, insecure_tls, deadline)
    return upgrade(sock, target.netloc, target.target, deadline, headers, max_message)


def _connect_raw(target: Target, deadline: float, headers: List[Tuple[str, str]], max_message: int) -> Transport:
    sock = open_socket(target, False, deadline)
    assert isinstance(sock, socket.socket)
    try:
        return greet(sock, target.netloc, target.target, deadline, max_message, headers)
    except ConnectRefused as error:
        older = _older(headers, error)
        if older is None:
            raise
    return _connect_raw(target, deadline, older, max_message)


def _older(headers: List[Tuple[str, str]], refused: ConnectRefused) -> Optional[List[Tuple[str, str]]]:
    """See medusa.protocol.raw.words.older_headers. Raises ConnectRefused."""
    try:
        return older_headers(headers, refused.status, str(refused))
    except HandshakeError as error:
        raise ConnectRefused(str(error), error.http_status, retryable=False) from None


def upgrade(
    sock: Union[socket.socket, TlsSocket],
    host: str,
    target: str,
    deadline: float,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
) -> Transport:
    """Asks the server for a websocket on a connected socket. Returns its transport, which owns the socket from then on.

    Args:
        host: the value of the Host header.
        target: the path and query of the request.
        deadline: the latest end, as a time of time.monotonic().
        headers: (name, value) of further header fields of the request.
        max_message: the limit of one message, in bytes.

    Raises:
        ConnectRefused: the server refused, or the connection failed. The socket is then closed.
    """
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    try:
        sock.settimeout(remaining(deadline))
        sock.sendall(build_upgrade(host, target, key, headers))
        response, rest = read_response(sock, deadline)
        check_accepted(response, key)
    except HandshakeError as error:
        reason = _explanation(sock, response, rest, deadline) or str(error)
        sock.close()
        if response.status == SWITCHING_PROTOCOLS:
            raise ConnectRefused(reason) from None
        scheme = "https" if isinstance(sock, TlsSocket) else "http"
        raise refusal(reason, response, "%s://%s%s" % (scheme, host, target)) from None
    except OSError as error:
        sock.close()
        raise ConnectRefused("the connection failed: %s" % (error.strerror or error)) from None
    except BaseException:
        sock.close()
        raise
    codec = WebSocketCodec(Role.CLIENT, _new_key, max_message)
    return Transport(stream_over(sock), codec, leftover=rest)


def greet(
    sock: socket.socket,
    host: str,
    target: str,
    deadline: float,
    max_message: int = MAX_MESSAGE,
    headers: Iterable[Tuple[str, str]] = (),
) -> Transport:
    """Sends the greeting of raw TCP with frames. Returns the transport, which owns the socket from then on.

    For `headers` see `build_framed`. For the other arguments and the errors see `upgrade`.
    """
    try:
        sock.settimeout(remaining(deadline))
        sock.sendall(build_framed(target, host, headers))
        line, rest = read_answer(sock, deadline, LineReader().feed)
        check_answer(line)
    except HandshakeError as error:
        sock.close()
        status = error.http_status if line.startswith(REFUSED) else None
        raise ConnectRefused(str(error), status, error.http_status in RETRYABLE) from None
    except OSError as error:
        sock.close()
        raise ConnectRefused("the connection failed: %s" % (error.strerror or error)) from None
    except BaseException:
        sock.close()
        raise
    return Transport(SocketStream(sock), FramedCodec(max_message), rest)


def _new_key() -> bytes:
    return os.urandom(4)


def _explanation(sock: Union[socket.socket, TlsSocket], response: Response, body: bytes, deadline: float) -> str:
    """Returns the first line of the body of a refusal, as a message for the user; "" if the body is not plain text.

    Args:
        body: the part of the body that was already read. The rest is read from `sock`.
        deadline: the latest end, as a time of time.monotonic(). The body is awaited for at most a second.
    """
    headers = response.headers
    if not (headers.get("content-type") or "").startswith("text/plain") or headers.get("transfer-encoding"):
        return ""
    length = headers.get("content-length") or ""
    wanted = min(1024, int(length[:18])) if length.isascii() and length.isdigit() else 1024
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

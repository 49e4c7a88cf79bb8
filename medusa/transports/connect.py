"""Opens the client's end of a link: `connect` connects to a URL, by a websocket or by raw TCP with frames."""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, Tuple, Union

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
from medusa.transports.dial import CONNECT_TIMEOUT, RETRYABLE, ConnectRefused, is_raw, open_steps, parse_url
from medusa.transports.dial.answer import read_answer, read_response
from medusa.transports.dial.errors import refusal
from medusa.transports.socket_stream import SocketStream
from medusa.transports.steps import Steps, receive, run, send_all

if TYPE_CHECKING:
    from medusa.transports.tls import TlsSocket

BODY_TIMEOUT = 1.0
"""The time limit, in seconds, for the body of a refusal."""


def connect(
    url: str,
    *,
    insecure_tls: bool = False,
    timeout: float = CONNECT_TIMEOUT,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
    proxies: bool = True,
) -> Transport:
    """Opens a link to `url` and returns its transport. Blocks up to `timeout` seconds. See `connect_steps`."""
    deadline = time.monotonic() + timeout
    return run(
        connect_steps(
            url, deadline, insecure_tls=insecure_tls, headers=headers, max_message=max_message, proxies=proxies
        )
    )


def connect_steps(
    url: str,
    deadline: float,
    *,
    insecure_tls: bool = False,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
    proxies: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[Transport]:
    """Opens a link to `url` and returns its transport. Uses the proxy that the environment variables name, if any.

    A tcp:// URL gives raw TCP with frames, without TLS; other URLs give a websocket.

    Args:
        deadline: the latest end of everything together, as a time of `clock`.
        insecure_tls: True to accept any certificate.
        headers: (name, value) of further header fields of the request. For raw TCP, the fields of
            medusa.protocol.features become words of the greeting; the others are left out. If the reflector is too old
            to know these words, the greeting is sent again without them.
        max_message: the limit of one message, in bytes.
        proxies: False to ignore the proxy that the environment names.

    Raises:
        ConnectRefused: the connection failed, or the server refused. The error says whether to try again.
    """
    target, fields = parse_url(url), list(headers)
    while True:
        stream = _stream_over((yield from open_steps(target, insecure_tls, deadline, proxies=proxies, clock=clock)))
        if not is_raw(url):
            return (yield from upgrade(stream, target.netloc, target.target, deadline, fields, max_message, clock))
        try:
            return (yield from greet(stream, target.netloc, target.target, deadline, fields, max_message))
        except ConnectRefused as error:
            older = _older(fields, error)
            if older is None:
                raise
            fields = older


def _stream_over(sock: Union[socket.socket, TlsSocket]) -> SocketStream:
    if isinstance(sock, socket.socket):
        return SocketStream(sock)
    from medusa.transports.tls import stream_over  # loaded already, by what has made the handshake

    return stream_over(sock)


def _older(headers: List[Tuple[str, str]], refused: ConnectRefused) -> Optional[List[Tuple[str, str]]]:
    """Returns the header fields for another attempt, without those that the reflector is too old to know.

    Returns None if another attempt would not help. See older_headers in medusa/protocol/raw/words.py. Raises
    ConnectRefused if such an old reflector cannot do what these fields ask for.
    """
    try:
        return older_headers(headers, refused.status, str(refused))
    except HandshakeError as error:
        raise ConnectRefused(str(error), error.http_status, retryable=False) from None


def upgrade(
    stream: SocketStream,
    host: str,
    target: str,
    deadline: float,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[Transport]:
    """Asks the server for a websocket. Returns its transport, which owns the stream from then on.

    Args:
        host: the value of the Host header.
        target: the path and query of the request.
        deadline: the latest end, as a time of `clock`.
        headers: (name, value) of further header fields of the request.
        max_message: the limit of one message, in bytes.

    Raises:
        ConnectRefused: the server refused, or the connection failed. The stream is then closed.
    """
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    try:
        yield from send_all(stream, build_upgrade(host, target, key, headers), deadline)
        response, rest = yield from read_response(stream, deadline)
        try:
            check_accepted(response, key)
        except HandshakeError as error:
            body = yield from _explanation(stream, response, rest, min(deadline, clock() + BODY_TIMEOUT))
            reason = body or str(error)
            if response.status == SWITCHING_PROTOCOLS:
                raise ConnectRefused(reason) from None
            scheme = "https" if stream.secure else "http"
            raise refusal(reason, response, "%s://%s%s" % (scheme, host, target)) from None
    except OSError as error:
        stream.close()
        raise ConnectRefused("the connection failed: %s" % (error.strerror or error)) from None
    except BaseException:
        stream.close()
        raise
    transport = Transport(stream, WebSocketCodec(Role.CLIENT, _new_key, max_message), rest)
    return _answered(transport, response.headers.items)


def greet(
    stream: SocketStream,
    host: str,
    target: str,
    deadline: float,
    headers: Iterable[Tuple[str, str]] = (),
    max_message: int = MAX_MESSAGE,
) -> Steps[Transport]:
    """Sends the greeting of raw TCP with frames. Returns the transport, which owns the stream from then on.

    For `headers` see `build_framed`. For the other arguments and the errors see `upgrade`.
    """
    try:
        yield from send_all(stream, build_framed(target, host, headers), deadline)
        line, rest = yield from read_answer(stream, deadline, LineReader().feed)
        try:
            answer = check_answer(line)
        except HandshakeError as error:
            status = error.http_status if line.startswith(REFUSED) else None
            raise ConnectRefused(str(error), status, error.http_status in RETRYABLE) from None
    except OSError as error:
        stream.close()
        raise ConnectRefused("the connection failed: %s" % (error.strerror or error)) from None
    except BaseException:
        stream.close()
        raise
    return _answered(Transport(stream, FramedCodec(max_message), rest), answer)


def _answered(transport: Transport, fields: Iterable[Tuple[str, str]]) -> Transport:
    """Stores in `transport` the fields of the reflector's answer that begin with `medusa-`. Returns the transport."""
    transport.answer = {name.lower(): value for name, value in fields if name.lower().startswith("medusa-")}
    return transport


def _new_key() -> bytes:
    return os.urandom(4)


def _explanation(stream: SocketStream, response: Response, body: bytes, until: float) -> Steps[str]:
    """Returns the first line of the body of a refusal, as a message for the user; "" if the body is not plain text.

    Args:
        body: the part of the body that was already read. The rest is read from `stream`.
        until: the time of time.monotonic() after which the body is not awaited any more.
    """
    headers = response.headers
    if not (headers.get("content-type") or "").startswith("text/plain") or headers.get("transfer-encoding"):
        return ""
    length = headers.get("content-length") or ""
    wanted = min(1024, int(length[:18])) if length.isascii() and length.isdigit() else 1024
    try:
        while len(body) < wanted:
            data = yield from receive(stream, wanted - len(body), until)
            if not data:
                break
            body += data
    except OSError:
        pass
    return body.decode("utf-8", "replace").strip().partition("\n")[0]

"""Pairs of joined transports of every kind, for the conformance suite and other tests."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.relay import WebSocketRelay
from medusa.transports.adopt import adopt_framed, adopt_websocket
from medusa.transports.base import Transport
from medusa.transports.relayed import RelayedTransport
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import Buffers, Tls, TlsSocket, stream_over
from tests import frames
from tests.memory_transport import memory_streams
from tests.waiting import PATIENCE

CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"
"""Of localhost and 127.0.0.1, signed by itself, with its key."""

BUFFER = 65536
"""Bytes asked of the kernel for each direction: small, so that a peer that does not read is noticed soon."""

Ends = tuple[Transport, Transport]
Socket = socket.socket | TlsSocket


def _small_buffers(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two joined sockets."""
    near, far = socket.socketpair()
    _small_buffers(near)
    _small_buffers(far)
    return near, far


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """The dialling and the accepting end of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _small_buffers(listener)
        dialled = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    _small_buffers(dialled)
    return dialled, accepted


def server_context() -> ssl.SSLContext:
    """TLS as localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_context() -> ssl.SSLContext:
    """TLS that trusts localhost alone."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def tls_engines(buffers: Buffers | None = None) -> tuple[Tls, Tls]:
    """The client's and the server's end of TLS without sockets, their handshake done. `buffers`: of the server."""
    client, server = Tls(client_context(), "localhost"), Tls(server_context(), buffers=buffers)
    received = b""
    while not client.handshake(received):
        server.handshake(client.replies())
        received = server.replies()
    assert server.handshake(client.replies())
    client.receive(1, lambda _: server.replies())  # session tickets
    return client, server


def tls_pair(pair: Callable[[], tuple[socket.socket, socket.socket]] = unix_pair) -> tuple[TlsSocket, TlsSocket]:
    """The client's and the server's end of TLS, their handshake done."""
    near, far = pair()
    client, server = TlsSocket(near, Tls(client_context(), "localhost")), TlsSocket(far, Tls(server_context()))
    for sock in (near, far):
        sock.settimeout(PATIENCE)
    thread = threading.Thread(target=server.handshake)
    thread.start()
    client.handshake()
    thread.join(PATIENCE)
    return client, server


class Bench:
    """A relay's end of a websocket over memory, and the bare stream of its peer."""

    def __init__(self, capacity: int = 1 << 20, leftover: bytes = b"", scratch: memoryview | None = None) -> None:
        self.near, self.peer = memory_streams(capacity)
        self.link = RelayedTransport(self.near, frames.server(), WebSocketRelay(), leftover, scratch)

    def received(self) -> bytes:
        data = b""
        try:
            while chunk := self.peer.recv(1 << 20):
                data += chunk
        except BlockingIOError:
            pass
        return data


def linked(pair: Callable[[], tuple[Socket, Socket]], max_message: int = MAX_MESSAGE) -> Ends:
    """The client's and the server's end of a websocket over a pair of sockets."""
    near, far = pair()
    codec = WebSocketCodec(Role.CLIENT, lambda: os.urandom(4), max_message)
    return Transport(stream_over(near), codec), adopt_websocket(far, max_message=max_message)


def framed(max_message: int = MAX_MESSAGE) -> Ends:
    near, far = unix_pair()
    return Transport(SocketStream(near), FramedCodec(max_message)), adopt_framed(far, max_message=max_message)


def turned(make: Callable[..., Ends]) -> Callable[..., Ends]:
    return lambda **options: make(**options)[::-1]


RELAYED: dict[str, Callable[..., Ends]]
RELAYED = {"websocket": partial(linked, unix_pair), "tls": partial(linked, tls_pair), "framed": framed}
"""Each makes two joined ends; the second is one that a reflector relays from and to."""

SERVERS = RELAYED | {"websocket": partial(linked, tcp_pair)}
KINDS = RELAYED | {f"{name}-server": turned(make) for name, make in SERVERS.items()}
"""Every kind of transport; the first end is the one of that kind."""

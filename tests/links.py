"""Pairs of joined transports of every kind, for the conformance suite and whoever needs one."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.websocket import Role, WebSocketConnection
from medusa.transports.base import Transport
from medusa.transports.memory import memory_pair
from medusa.transports.stream import SocketStream
from medusa.transports.websocket import adopt
from tests.waiting import PATIENCE

CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"
"""Of localhost and 127.0.0.1, signed by itself, with its key."""

BUFFER = 65536
"""Bytes asked of the kernel for each direction: small, so that a peer that does not read is noticed soon."""

Ends = tuple[Transport, Transport]


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


def _tls_pair() -> tuple[socket.socket, socket.socket]:
    dialled, accepted = unix_pair()
    for sock in (dialled, accepted):
        sock.settimeout(PATIENCE)
    wrapped: list[socket.socket] = []
    thread = threading.Thread(target=lambda: wrapped.append(server_context().wrap_socket(accepted, server_side=True)))
    thread.start()
    client = ssl.create_default_context(cafile=str(CERTIFICATE)).wrap_socket(dialled, server_hostname="localhost")
    thread.join(PATIENCE)
    return client, wrapped[0]


def over(pair: Callable[[], tuple[socket.socket, socket.socket]], max_message: int = MAX_MESSAGE) -> Ends:
    """The client's and the server's end of a websocket over a pair of sockets."""
    near, far = pair()
    codec = WebSocketConnection(Role.CLIENT, lambda: os.urandom(4), max_message)
    return Transport(SocketStream(near), codec), adopt(far, max_message=max_message)


def memory(max_message: int = MAX_MESSAGE) -> Ends:
    return memory_pair(max_message=max_message)


def websocket_client(max_message: int = MAX_MESSAGE) -> Ends:
    return over(unix_pair, max_message)


def websocket_server(max_message: int = MAX_MESSAGE) -> Ends:
    client, server = over(tcp_pair, max_message)
    return server, client


def tls_client(max_message: int = MAX_MESSAGE) -> Ends:
    return over(_tls_pair, max_message)


def tls_server(max_message: int = MAX_MESSAGE) -> Ends:
    client, server = over(_tls_pair, max_message)
    return server, client


KINDS = (memory, websocket_client, websocket_server, tls_client, tls_server)
"""Each makes two joined ends; the first is the one of that kind."""

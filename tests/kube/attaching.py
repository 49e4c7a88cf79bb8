"""Attaching to a container: byte channels over a websocket, by another library than the client uses."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request, TextMessage

from tests.kube.container import Container

PROTOCOL = "v4.channel.k8s.io"
STDIN, STDOUT = 0, 1


def attach(
    sock: socket.socket,
    path: str,
    headers: list[tuple[bytes, bytes]],
    container: Container,
    stopping: threading.Event,
) -> None:
    """Copies between the websocket and the container until the client leaves."""
    link = WSConnection(ConnectionType.SERVER)
    link.initiate_upgrade_connection(headers, path)
    (request,) = link.events()
    assert isinstance(request, Request)
    sock.sendall(link.send(AcceptConnection(subprotocol=PROTOCOL)))
    sent, begun = 0, bytearray()
    try:
        while not stopping.is_set():
            output = container.log()[sent:]
            if output:
                sent += len(output)
                sock.sendall(link.send(BytesMessage(bytes([STDOUT]) + output)))
            if (_pending(sock) or select.select([sock], [], [], 0.05)[0]) and not _take(sock, link, container, begun):
                return
    finally:
        container.end_input()


def _pending(sock: socket.socket) -> bool:
    """Whether TLS holds decrypted bytes, which select() does not show."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _take(sock: socket.socket, link: WSConnection, container: Container, begun: bytearray) -> bool:
    """Reads once. Returns False once the client has left. `begun` holds the start of an incomplete message."""
    link.receive_data(sock.recv(65536) or None)
    for event in link.events():
        if isinstance(event, CloseConnection):
            with contextlib.suppress(OSError):
                sock.sendall(link.send(event.response()))
            return False
        if isinstance(event, (BytesMessage, TextMessage)):
            begun += event.data.encode() if isinstance(event.data, str) else event.data
            if event.message_finished:
                if begun[:1] == bytes([STDIN]):
                    container.write(bytes(begun[1:]))
                begun.clear()
    return True

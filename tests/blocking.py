"""Waiting for a link or a stream, for a test that has nothing else to do. One thread at a time uses it."""

from __future__ import annotations

import os
import socket
import time

from medusa.protocol.messages import Message
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.relay import WebSocketRelay
from medusa.transports.base import Transport
from medusa.transports.relayed import RelayedTransport
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsSocket, stream_over
from tests.waiting import PATIENCE


def receive(link: Transport, timeout: float = PATIENCE) -> Message:
    """The next message. Raises TimeoutError after `timeout` seconds, and what `receive_nowait` raises."""
    deadline = time.monotonic() + timeout
    while (message := link.receive_nowait()) is None:
        link._wait(True, deadline)
    return message


def send(link: Transport, message: Message, timeout: float = PATIENCE) -> None:
    """Hand `message` to the kernel. Raises TimeoutError after `timeout` seconds, and what `send_nowait` raises."""
    deadline = time.monotonic() + timeout
    while not link.flush():
        link._wait(False, deadline)
    link.send_nowait(message)
    while not link.flush():
        link._wait(False, deadline)


def read(stream: SocketStream, size: int) -> bytes:
    """`size` bytes of a stream. Waits as a loop does: it polls, unless the stream has more that no poll reports."""
    data = b""
    while len(data) < size:
        if not stream.pending:
            stream.wait(True, False, PATIENCE)
        try:
            data += stream.recv(size - len(data))
        except BlockingIOError:
            pass
    return data


def fill(stream: SocketStream) -> int:
    """Write until nothing more is taken; the number of bytes that were."""
    total = 0
    try:
        while taken := stream.send(bytes(1 << 20)):
            total += taken
    except BlockingIOError:
        pass
    return total


class BlockingLink:
    """A link that was dialled, with both functions as methods."""

    def __init__(self, link: Transport) -> None:
        self.link = link
        self.close, self.abort = link.close, link.abort

    def receive(self, timeout: float = PATIENCE) -> Message:
        return receive(self.link, timeout)

    def send(self, message: Message, timeout: float = PATIENCE) -> None:
        send(self.link, message, timeout)


class BlockingTransport(RelayedTransport):
    """A server's end of a websocket, with both functions as methods."""

    def receive(self, timeout: float = PATIENCE) -> Message:
        return receive(self, timeout)

    def send(self, message: Message, timeout: float = PATIENCE) -> None:
        send(self, message, timeout)


def blocking_websocket(sock: socket.socket | TlsSocket, leftover: bytes = b"") -> BlockingTransport:
    """Like `adopt_websocket`."""
    codec = WebSocketCodec(Role.SERVER, lambda: os.urandom(4))
    return BlockingTransport(stream_over(sock), codec, WebSocketRelay(), leftover)

"""Both ends of a byte link on the event loop, and what a test does with them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.event

from medusa.reflector.relay.byte_link import ByteLink
from medusa.reflector.relay.byte_pipe import READ_SIZE
from medusa.transports.socket_stream import SocketStream
from tests.waiting import MS, PATIENCE, Deadline

STILL = 200 * MS
"""Seconds without progress after which a test takes a sink for full."""

MIB = 1 << 20

RESET = b"\1\0\0\0\0\0\0\0"
"""For SO_LINGER: close(2) resets the connection."""


class Ends:
    """`peer` and `owner` are the far ends of the two streams that `open_link` gets a function to forget itself for.

    Attributes:
        plain: the peer's socket without TLS.
    """

    def __init__(self, peer: SocketStream, plain: socket.socket, owner: SocketStream) -> None:
        self.peer = peer
        self.plain = plain
        self.owner = owner
        self.ended = gevent.event.Event()
        self.link: ByteLink

    def open(self, open_link: Callable[[Callable[[ByteLink], None]], ByteLink]) -> None:
        self.link = open_link(lambda _: self.ended.set())

    def over(self) -> None:
        """Waits until the link has ended by itself."""
        assert self.ended.wait(PATIENCE)

    def close(self) -> None:
        self.link.end()
        self.peer.close()
        self.owner.close()

    def reset_by_peer(self) -> None:
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.plain.close()


def send(sink: SocketStream, data: bytes) -> None:
    view, deadline = memoryview(data), Deadline()
    while view and not deadline.passed:
        try:
            view = view[sink.send(view) :]
        except BlockingIOError:
            gevent.sleep(MS)
    assert not view


def clog(sink: SocketStream) -> bytes:
    """Sends until nothing is taken any more. Returns what was taken; TLS may still hold the last piece."""
    piece, sent, still = os.urandom(READ_SIZE), bytearray(), Deadline(STILL)
    while not still.passed:
        try:
            taken = sink.send(piece)
        except BlockingIOError:
            gevent.sleep(MS)
        else:
            sent += piece[:taken]
            still = Deadline(STILL)
    return bytes(sent)


def receive(source: SocketStream, size: int = MIB * 64) -> bytes:
    """That many bytes, or all up to the end of the stream."""
    data, deadline = bytearray(), Deadline()
    while len(data) < size:
        assert not deadline.passed, f"{len(data)} bytes and no more"
        try:
            more = source.recv(min(READ_SIZE, size - len(data)))
        except BlockingIOError:
            gevent.sleep(MS)
            continue
        if not more:
            break
        data += more
    return bytes(data)


def pipe(words: str) -> Any:
    """Stands for a BytePipe of which only these properties are true."""
    found = set(words.split())
    return SimpleNamespace(
        ended="ended" in found,
        wants_read=not found & {"ended", "held", "stuck"},
        is_stuck="stuck" in found,
        has_read="read" in found,
        has_written="written" in found,
    )

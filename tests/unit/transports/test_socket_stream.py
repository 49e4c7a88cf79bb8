"""Streams over sockets; the first tests hold for a TlsStream as well."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from medusa.protocol.messages import Binary
from medusa.protocol.raw.codec import FramedCodec
from medusa.transports.base import Transport
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream, stream_over
from tests.blocking import fill, read, receive
from tests.links import tcp_pair, tls_pair
from tests.waiting import MS, PATIENCE

SHORT = 30 * MS

Ends = tuple[SocketStream, SocketStream]


@pytest.fixture(params=["plain", "tls"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    sockets = tcp_pair() if request.param == "plain" else tls_pair(tcp_pair)
    near, far = map(stream_over, sockets)
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def plain() -> Iterator[tuple[SocketStream, socket.socket]]:
    near, far = tcp_pair()
    far.settimeout(PATIENCE)
    stream = SocketStream(near)
    yield stream, far
    stream.close()
    far.close()


def test_it_does_not_block(ends: Ends) -> None:
    stream, far = ends
    with pytest.raises(BlockingIOError):
        stream.recv(10)
    assert far.send(b"abc") == 3
    assert read(stream, 2) + read(stream, 1) == b"abc"
    assert fill(stream) > 0


def test_shutdown_ends_one_direction(ends: Ends) -> None:
    stream, far = ends
    stream.send(b"last")
    stream.shutdown()
    stream.shutdown()
    assert read(far, 4) == b"last"
    far.wait(True, False, PATIENCE)
    assert far.recv(10) == b""
    far.send(b"more")
    stream.wait(True, False, PATIENCE)
    more = stream.recv(100)
    assert more == b"more" or (isinstance(stream, TlsStream) and more)  # TLS cannot be decrypted any more
    with pytest.raises(BrokenPipeError):
        stream.send(b"x")


@pytest.mark.parametrize("shutdown", [False, True])
def test_closed_is_closed(ends: Ends, shutdown: bool) -> None:
    stream, _ = ends
    assert stream.fileno() >= 0
    if shutdown:
        stream.shutdown()
    stream.close()
    stream.close()
    stream.shutdown()
    stream.wait(True, True, None)
    assert stream.fileno() == -1
    assert not stream.pending
    for use in (lambda: stream.recv(1), lambda: stream.send(b"x")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            use()


def test_waiting_ends_with_what_is_waited_for_or_in_time(plain: tuple[SocketStream, socket.socket]) -> None:
    stream, far = plain
    begun = time.monotonic()
    stream.wait(True, False, SHORT)
    assert time.monotonic() - begun >= SHORT
    stream.wait(True, True, PATIENCE)
    far.close()
    stream.wait(True, False, PATIENCE)
    assert stream.recv(1) == b""
    stream.wait(False, True, 0)
    assert time.monotonic() - begun < PATIENCE / 2


def test_a_close_with_unread_input_is_no_reset(plain: tuple[SocketStream, socket.socket]) -> None:
    stream, far = plain
    far.sendall(bytes(10_000))
    stream.send(b"bye")
    stream.wait(True, False, PATIENCE)
    stream.close()
    assert far.recv(10) + far.recv(10) == b"bye"


def test_close_ends_the_connection_although_a_copy_of_the_descriptor_is_open(
    plain: tuple[SocketStream, socket.socket],
) -> None:
    stream, far = plain
    copy = os.dup(stream.fileno())
    stream.close()
    assert far.recv(10) == b""
    os.close(copy)


def test_more_pieces_than_one_call_takes() -> None:
    near, far = (Transport(SocketStream(end), FramedCodec()) for end in socket.socketpair())
    pieces = [b"%04d" % number for number in range(3000)]
    assert near.send_binary(pieces)
    assert receive(far) == Binary(b"".join(pieces))
    near.abort()
    far.abort()

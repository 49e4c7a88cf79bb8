"""A peer without frames: what it is told, and that each direction ends by itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from medusa.protocol.control import Linkup, Wait, build
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.protocol.raw.relay import PLAIN
from medusa.reflector.relay.pump import Progress, Pump
from medusa.transports.adopt import END_OF_STREAM, adopt_plain
from medusa.transports.base import BrokenTransport, ClosedTransport
from tests.links import unix_pair
from tests.waiting import PATIENCE, wait_until


class Bench:
    """The link, and its bare peer."""

    def __init__(self, leftover: bytes = b"") -> None:
        self.peer, far = unix_pair()
        self.peer.settimeout(PATIENCE)
        self.link = adopt_plain(far, leftover)

    def linked(self) -> Bench:
        self.link.announce(build(Linkup()))
        assert self.peer.recv(100) == b"OK linked\n"
        return self

    def hang_up(self) -> Bench:
        self.peer.shutdown(socket.SHUT_WR)
        with pytest.raises(ClosedTransport) as caught:
            wait_until(lambda: self.link.relay_read(PLAIN))
        assert caught.value.close == END_OF_STREAM
        return self

    def close(self) -> None:
        self.peer.close()
        self.link.abort()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_it_hears_bytes_and_how_its_session_stands(bench: Bench) -> None:
    for message in (Ping(b"x"), Text("x"), Text(build(Wait()))):
        assert bench.link.send_nowait(message)
    bench.linked()
    assert bench.link.relay_write([b"", b"by", b"tes"], mid_frame=True, boundary=0)
    assert not bench.link.mid_frame
    assert bench.link.send_nowait(Binary(b"\xff"))
    heard = b""
    while heard != b"bytes\xff":
        heard += bench.peer.recv(100)


@pytest.mark.parametrize(("linked", "last"), [(False, b"ERR 1001 bye\n"), (True, b"")])
def test_a_close_is_a_fin(bench: Bench, linked: bool, last: bytes) -> None:
    if linked:
        bench.linked()
    bench.link.send_nowait(Close(1001, "bye"))
    assert b"".join(iter(lambda: bench.peer.recv(100), b"")) == last
    with pytest.raises(ClosedTransport):
        bench.link.send_nowait(Binary(b"x"))
    bench.peer.sendall(b"still heard")
    relayed = wait_until(lambda: bench.link.relay_read(PLAIN))
    assert relayed is not None
    assert relayed.pieces == [b"still heard"]
    bench.hang_up()


def test_a_fin_goes_behind_what_waits(bench: Bench) -> None:
    bench.linked()
    sent = bytes(1 << 20)
    assert not bench.link.relay_write([sent], mid_frame=False)
    bench.link.send_nowait(Close())
    heard = 0
    while data := bench.peer.recv(1 << 16):
        heard += len(data)
        bench.link.flush()
    assert heard == len(sent)


def test_what_the_peer_has_not_ended_goes_on(bench: Bench) -> None:
    bench.linked().hang_up()
    assert bench.link.relay_write([b"on it goes"], mid_frame=False)
    assert bench.peer.recv(100) == b"on it goes"
    bench.link.send_nowait(Close())
    assert bench.peer.recv(100) == b""
    with pytest.raises(ClosedTransport):
        bench.link.relay_write([b"x"], mid_frame=False)


def test_writing_to_who_is_gone(bench: Bench) -> None:
    bench.linked().hang_up()
    bench.peer.close()
    for _ in range(2):
        with pytest.raises(BrokenTransport):
            bench.link.relay_write([b"x"], mid_frame=False)
    bench.link.abort()
    with pytest.raises(ClosedTransport):
        bench.link.relay_write([b"x"], mid_frame=False)


def test_what_came_behind_the_greeting_comes_first() -> None:
    bench, sink = Bench(b"early "), Bench()
    bench.peer.sendall(b"late")
    pump = Pump(bench.link, sink.link)
    heard = b""
    while heard != b"early late":
        assert pump.step() is Progress.MOVED
        heard += sink.peer.recv(100)
    assert pump.step() is Progress.IDLE
    assert (pump.messages, pump.size) == (2, 10)
    bench.close()
    sink.close()


def test_a_reset_is_a_loss() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        link = adopt_plain(listener.accept()[0])
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    with pytest.raises(BrokenTransport):
        wait_until(lambda: link.relay_read(PLAIN))
    link.abort()

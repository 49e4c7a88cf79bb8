"""The reflector's ends. What the links do then is in tests/conformance; a peer without frames has its tests here."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from medusa.protocol.control import Linkup, Wait, build
from medusa.protocol.errors import MessageTooBig
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.protocol.raw.relay import PLAIN
from medusa.transports.adopt import END_OF_STREAM, adopt_framed, adopt_plain, adopt_websocket
from medusa.transports.base import BrokenTransport, ClosedTransport
from tests.blocking import receive
from tests.frames import BINARY, CLOSE, TEXT, frame, raw_frame
from tests.links import tcp_pair, unix_pair
from tests.waiting import PATIENCE, wait_until


@pytest.mark.parametrize("at", range(14))
@pytest.mark.parametrize("framed", [False, True])
def test_bytes_that_came_with_the_handshake_are_read_first(framed: bool, at: int) -> None:
    adopt, make = (adopt_framed, raw_frame) if framed else (adopt_websocket, frame)
    whole = make(TEXT, b"early") + make(BINARY)
    near, far = unix_pair()
    with far:
        link = adopt(near, whole[:at])
        far.sendall(whole[at:])
        far.shutdown(socket.SHUT_WR)
        assert [receive(link), receive(link)] == [Text("early"), Binary(b"")]
        with pytest.raises(BrokenTransport):
            receive(link)
        link.abort()


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.parametrize("framed", [False, True])
def test_the_limit_holds_however_the_link_is_read(framed: bool, relayed: bool) -> None:
    adopt, make = (adopt_framed, raw_frame) if framed else (adopt_websocket, frame)
    near, far = unix_pair()
    with far:
        link = adopt(near, max_message=10)
        far.sendall(make(BINARY, bytes(10)) + make(BINARY, bytes(11)))
        if relayed:
            found = link.relay_read(link.framing)
            assert found is not None
            assert (found.messages, type(found.error)) == (1, MessageTooBig)
        else:
            assert receive(link) == Binary(bytes(10))
            with pytest.raises(MessageTooBig):
                receive(link)
        link.close(timeout=0)
        payload = b"\x03\xf1message above the limit of 10 bytes"
        assert far.recv(100) == (raw_frame(CLOSE, payload) if framed else frame(CLOSE, payload, key=None))


class Bench:
    """A link without frames, and its peer."""

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


class TestPlain:
    def test_the_peer_gets_bytes_and_one_line_at_the_linkup(self, bench: Bench) -> None:
        for message in (Ping(b"x"), Text("x"), Text(build(Wait()))):
            assert bench.link.send_nowait(message)
        bench.linked()
        assert bench.link.relay_write([b"", b"by", b"tes"], mid_frame=True, boundary=0)
        assert not bench.link.mid_frame
        assert bench.link.send_nowait(Binary(b"\xff"))
        received = b""
        while received != b"bytes\xff":
            received += bench.peer.recv(100)

    @pytest.mark.parametrize(("linked", "last"), [(False, b"ERR 1001 bye\n"), (True, b"")])
    def test_a_close_is_a_fin_and_the_other_direction_goes_on(self, bench: Bench, linked: bool, last: bytes) -> None:
        if linked:
            bench.linked()
        bench.link.send_nowait(Close(1001, "bye"))
        assert b"".join(iter(lambda: bench.peer.recv(100), b"")) == last
        with pytest.raises(ClosedTransport):
            bench.link.send_nowait(Binary(b"x"))
        bench.peer.sendall(b"still read")
        relayed = wait_until(lambda: bench.link.relay_read(PLAIN))
        assert relayed is not None
        assert relayed.pieces == [b"still read"]
        bench.hang_up()

    def test_a_fin_is_sent_after_all_that_waits(self, bench: Bench) -> None:
        bench.linked()
        sent = bytes(1 << 20)
        assert not bench.link.relay_write([sent], mid_frame=False)
        bench.link.send_nowait(Close())
        received = 0
        while data := bench.peer.recv(1 << 16):
            received += len(data)
            bench.link.flush()
        assert received == len(sent)

    def test_after_the_peers_end_it_can_be_written_to(self, bench: Bench) -> None:
        bench.linked().hang_up()
        assert bench.link.relay_write([b"on it goes"], mid_frame=False)
        assert bench.peer.recv(100) == b"on it goes"
        bench.link.send_nowait(Close())
        assert bench.peer.recv(100) == b""
        with pytest.raises(ClosedTransport):
            bench.link.relay_write([b"x"], mid_frame=False)

    def test_writing_to_a_peer_that_is_gone(self, bench: Bench) -> None:
        bench.linked().hang_up()
        bench.peer.close()
        for _ in range(2):
            with pytest.raises(BrokenTransport):
                bench.link.relay_write([b"x"], mid_frame=False)
        bench.link.abort()
        with pytest.raises(ClosedTransport):
            bench.link.relay_write([b"x"], mid_frame=False)

    def test_bytes_that_came_with_the_greeting_are_read_first(self) -> None:
        bench, received = Bench(b"early "), b""
        bench.peer.sendall(b"late")
        while received != b"early late":
            relayed = wait_until(lambda: bench.link.relay_read(PLAIN))
            assert relayed is not None
            received += b"".join(relayed.pieces)
        bench.close()

    def test_a_reset_is_a_loss(self) -> None:
        peer, accepted = tcp_pair()
        link = adopt_plain(accepted)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        with pytest.raises(BrokenTransport):
            wait_until(lambda: link.relay_read(PLAIN))
        link.abort()

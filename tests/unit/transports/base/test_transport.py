"""What the engine does beyond what every transport must: tests/conformance has that."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from medusa.protocol.errors import BadFrame, LocalProtocolError
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.transports.adopt import adopt_websocket
from medusa.transports.base import FIRST_READ, READ_SIZE, READS_AT_ONCE, BrokenTransport, ClosedTransport, Transport
from tests.blocking import receive
from tests.frames import BINARY, CLOSE, CONT, PING, TEXT, frame, head, server
from tests.links import Bench, tcp_pair
from tests.memory_transport import MemoryStream, memory_streams


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.link.abort()


def test_bytes_that_came_with_the_handshake_are_read_first_and_counted() -> None:
    early = frame(TEXT, b"early")
    for method in ("receive_nowait", "relay_read"):
        bench = Bench(leftover=early)
        assert bench.link.received == len(early)
        bench.peer.send(frame(TEXT, b"later"))
        if method == "receive_nowait":
            assert [bench.link.receive_nowait() for _ in range(3)] == [Text("early"), Text("later"), None]
        else:
            relayed = [bench.link.relay_read(bench.link.framing) for _ in range(3)]
            assert [r and b"".join(r.pieces) for r in relayed] == [b"\x81\x05early", b"\x81\x05later", None]
        assert bench.link.received == 2 * len(early)


def test_a_close_inside_a_frame_is_not_sent(bench: Bench) -> None:
    bench.link.relay_write([head(BINARY, 4, key=None), b"ab"], mid_frame=True)
    bench.link.close(timeout=0)
    assert bench.received() == b"\x82\x04ab"


def test_a_transport_is_emptied_when_the_messages_of_a_short_read_were_returned() -> None:
    near, far = memory_streams()
    link = Transport(near, server(), leftover=frame(TEXT, b"early"))
    steps = []
    far.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"three")[:4])
    for _ in range(4):
        steps.append((link.emptied, link.receive_nowait()))
    far.send(frame(TEXT, b"three")[4:])
    for _ in range(2):
        steps.append((link.emptied, link.receive_nowait()))
    expected = [Text("early"), Text("one"), Text("two"), None, Text("three"), None]
    assert steps == [*((False, message) for message in expected[:5]), (True, None)]


def test_after_a_long_read_a_transport_is_not_emptied() -> None:
    near, far = memory_streams()
    link = Transport(near, server())
    whole = frame(BINARY, bytes(FIRST_READ - 8))
    assert len(whole) == FIRST_READ
    far.send(whole)
    assert link.receive_nowait() == Binary(bytes(FIRST_READ - 8))
    assert not link.emptied  # the stream may have more
    assert link.receive_nowait() is None


class Endless(MemoryStream):
    """A peer that never stops sending."""

    reads = 0
    payload = frame(CONT, fin=False) * 4

    def recv(self, size: int) -> bytes:
        self.reads += 1
        return self.payload if self.reads > 1 else frame(BINARY, fin=False)

    def wait(self, read: bool, write: bool, timeout: float | None) -> None:
        assert timeout is not None


@pytest.mark.parametrize("payload", [frame(CONT, fin=False) * 4, b"\xff" * READ_SIZE], ids=["fragments", "garbage"])
def test_a_flood_that_makes_no_message_does_not_keep_the_caller(payload: bytes) -> None:
    near, _ = memory_streams()
    stream = Endless(near._in, near._out)
    stream.payload = payload
    link = Transport(stream, server())
    if payload[0] == 0xFF:
        with pytest.raises(BadFrame):
            link.receive_nowait()
    for _ in range(3):
        before = stream.reads
        assert link.receive_nowait() is None
        assert stream.reads - before <= READS_AT_ONCE
    assert not link.discard()
    link.close(timeout=0.01)


class Slow(MemoryStream):
    """Gives one byte a read."""

    def recv(self, size: int) -> bytes:
        return super().recv(1)


class SlowTls(Slow):
    """The same, and no poll would report the rest."""

    @property
    def pending(self) -> bool:  # type: ignore[override]
        return bool(self._in.data)


def test_bytes_that_no_poll_would_report_are_read_at_once() -> None:
    """A loop that gets None waits for the socket; so nothing may be left that only TLS knows of."""
    near, far = memory_streams()
    link = Transport(SlowTls(near._in, near._out), server())
    far.send(frame(BINARY, b"x" * 3 * READS_AT_ONCE))
    assert link.pending
    assert link.receive_nowait() == Binary(b"x" * 3 * READS_AT_ONCE)
    assert not link.pending


def test_a_message_that_the_last_read_made_whole_is_handed_over(bench: Bench) -> None:
    """Nothing else may come that would make a loop ask again."""
    whole = frame(BINARY, b"x" * (READS_AT_ONCE - 6))
    assert len(whole) == READS_AT_ONCE
    bench.link._stream = Slow(bench.near._in, bench.near._out)
    bench.peer.send(whole)
    assert bench.link.receive_nowait() == Binary(b"x" * (READS_AT_ONCE - 6))


def test_a_failed_write_is_raised_for_each_writer_and_not_for_the_reader(bench: Bench) -> None:
    bench.peer.send(frame(TEXT, b"last words") + frame(PING))
    bench.near._out.ended = True
    for _ in range(2):
        with pytest.raises(BrokenTransport):
            bench.link.send_nowait(Text("x"))
    assert bench.link.write_failed
    assert not bench.link.wants_write
    assert bench.link.flush()
    assert [receive(bench.link, 1), receive(bench.link, 1)] == [Text("last words"), Ping()]
    with pytest.raises(BrokenTransport):
        bench.link.relay_write([b"x"], mid_frame=False)


def test_a_reader_is_not_stopped_by_what_it_could_not_flush(bench: Bench) -> None:
    bench.near.clog()
    bench.link.send_nowait(Binary(b"x"))
    bench.peer.send(frame(TEXT, b"last words"))

    class Failing(MemoryStream):
        def send(self, data: bytes | memoryview) -> int:
            raise BrokenPipeError

    bench.link._stream = Failing(bench.near._in, bench.near._out)
    bench.link._wait(True, time.monotonic() + 1)
    assert receive(bench.link, 1) == Text("last words")
    assert bench.link.write_failed


def test_a_reset_is_a_loss_after_what_had_arrived() -> None:
    near, far = tcp_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.sendall(frame(TEXT, b"last words"))
    far.close()
    link = adopt_websocket(near)
    assert receive(link) == Text("last words")
    with pytest.raises(BrokenTransport, match="reset by peer"):
        receive(link)
    link.abort()


def test_a_reset_after_the_peers_close_is_no_loss() -> None:
    near, far = tcp_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.sendall(frame(CLOSE))
    link = adopt_websocket(near)
    assert receive(link) == Close(None, "")
    far.close()
    assert link.discard()
    with pytest.raises(ClosedTransport):
        receive(link)
    link.abort()


def test_a_message_in_pieces_is_sent_as_one_however_little_the_kernel_takes(bench: Bench) -> None:
    pieces: list[bytes | memoryview] = [b"abc", memoryview(b"-defg-")[1:5], b"", bytes(3000)]
    for capacity in (1, 3, 4, 7, 1000, 1 << 20):
        bench.near._out.capacity = capacity
        sent, arrived = bench.link.sent, b""
        done = bench.link.send_binary(pieces)
        while not done:
            with pytest.raises(LocalProtocolError):
                bench.link.send_binary(pieces)
            arrived += bench.peer.recv(1 << 20)
            done = bench.link.flush()
        arrived += bench.peer.recv(1 << 20)
        assert arrived == frame(BINARY, b"abcdefg" + bytes(3000), key=None)
        assert bench.link.sent == sent + len(arrived)

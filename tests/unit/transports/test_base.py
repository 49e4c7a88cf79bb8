"""What the engine does beyond what every transport must: tests/conformance has that."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from medusa.protocol.errors import BadFrame, LocalProtocolError
from medusa.protocol.messages import Binary, Close, Kind, Ping, Pong, Text
from medusa.protocol.relay import WebSocketRelay
from medusa.transports.base import READ_SIZE, READS_AT_ONCE, RELAY_START, BrokenTransport, ClosedTransport, Transport
from medusa.transports.memory import MemoryStream, memory_pair, memory_streams
from medusa.transports.websocket import adopt
from tests.frames import BINARY, CLOSE, CONT, PING, TEXT, client, frame, head, headers_of, read, server
from tests.links import tcp_pair
from tests.waiting import PATIENCE


class Bench:
    """A relay's end of a websocket over memory, and the bare stream of its peer."""

    def __init__(self, capacity: int = 1 << 20, leftover: bytes = b"") -> None:
        self.near, self.peer = memory_streams(capacity)
        self.link = Transport(self.near, server(), WebSocketRelay(), leftover)

    def heard(self) -> bytes:
        data = b""
        try:
            while chunk := self.peer.recv(1 << 20):
                data += chunk
        except BlockingIOError:
            pass
        return data


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.link.abort()


def test_what_came_in_with_the_handshake_is_read_first_and_counts() -> None:
    early = frame(TEXT, b"early")
    for face in ("receive_nowait", "relay_read"):
        bench = Bench(leftover=early)
        assert bench.link.received == len(early)
        bench.peer.send(frame(TEXT, b"later"))
        if face == "receive_nowait":
            assert [bench.link.receive_nowait() for _ in range(3)] == [Text("early"), Text("later"), None]
        else:
            relayed = [bench.link.relay_read(bench.link.frame_header) for _ in range(3)]
            assert [r and b"".join(r.pieces) for r in relayed] == [b"\x81\x05early", b"\x81\x05later", None]
        assert bench.link.received == 2 * len(early)


def test_a_handshakes_half_frame_goes_on_in_the_stream() -> None:
    whole = frame(TEXT, b"whole")
    for at in range(len(whole)):
        bench = Bench(leftover=whole[:at])
        assert bench.link.receive_nowait() is None
        bench.peer.send(whole[at:])
        assert bench.link.receive_nowait() == Text("whole")


def test_control_frames_wait_for_the_end_of_a_relayed_frame(bench: Bench) -> None:
    link = bench.link
    assert link.relay_write([head(BINARY, 10, key=None), b"12345"], mid_frame=True)
    assert link.send_nowait(Ping(b"1"))
    assert link.announce("hello")
    bench.peer.send(frame(PING, b"2") + frame(PING, b"3"))
    link.receive_nowait()
    link.receive_nowait()
    assert not link.wants_write
    assert link.mid_frame
    with pytest.raises(LocalProtocolError):
        link.send_nowait(Binary(b"data"))
    assert headers_of(bench.heard()) == [(True, BINARY, 10)]
    assert link.relay_write([b"67890"], mid_frame=False)
    assert bench.heard() == b"67890" + b"\x8a\x013" + b"\x89\x011" + b"\x81\x05hello"


def test_control_frames_pass_where_the_next_large_frame_begins(bench: Bench) -> None:
    link = bench.link
    link.relay_write([head(BINARY, 4, key=None), b"ab"], mid_frame=True)
    link.send_nowait(Ping(b"1"))
    link.relay_write([b"cd", head(BINARY, 4, key=None), b"ef"], mid_frame=True, boundary=1)
    assert bench.heard()[2:] == b"abcd" + b"\x89\x011" + b"\x82\x04ef"
    assert link.mid_frame


def test_a_close_inside_a_frame_is_not_sent(bench: Bench) -> None:
    bench.link.relay_write([head(BINARY, 4, key=None), b"ab"], mid_frame=True)
    bench.link.close(timeout=0)
    assert bench.heard() == b"\x82\x04ab"


def test_relaying_asks_for_an_empty_way(bench: Bench) -> None:
    bench.near.clog()
    assert not bench.link.relay_write([b"\x82\x01x"], mid_frame=False)
    with pytest.raises(LocalProtocolError):
        bench.link.relay_write([b"\x82\x01y"], mid_frame=False)
    bench.near.clog(False)
    assert bench.link.flush()
    assert bench.heard() == b"\x82\x01x"


def test_pings_of_one_read_are_answered_each_unless_the_way_is_clogged(bench: Bench) -> None:
    pings = b"".join(frame(PING, b"%d" % number) for number in range(400))
    bench.peer.send(pings)
    relayed = bench.link.relay_read(bench.link.frame_header)
    assert relayed is not None
    assert len(relayed.pings) == 400
    assert read(client(), bench.heard()) == [Pong(b"%d" % number) for number in range(400)]
    bench.near.clog()
    for _ in range(10):
        bench.peer.send(pings)
        bench.link.relay_read(bench.link.frame_header)
    bench.near.clog(False)
    bench.link.flush()
    pongs = read(client(), bench.heard())
    assert len(pongs) <= 401
    assert pongs[-1] == Pong(b"399")


def test_a_flood_of_small_frames_is_read_in_small_pieces(bench: Bench) -> None:
    def read_sizes(data: bytes, reads: int) -> list[int]:
        sizes = []
        assert bench.peer.send(data) == len(data)
        for _ in range(reads):
            before = bench.link.received
            bench.link.relay_read(bench.link.frame_header)
            sizes.append(bench.link.received - before)
        return sizes

    doubling = [RELAY_START << n for n in range(6)]
    assert doubling[-1] == READ_SIZE
    assert read_sizes(frame(BINARY, bytes(sum(doubling) - 14)), 6) == doubling
    assert read_sizes(frame(PING) * 50_000, 4) == [READ_SIZE, RELAY_START, RELAY_START, RELAY_START]


def test_relay_read_answers_a_close_and_a_breach(bench: Bench) -> None:
    bench.peer.send(frame(BINARY, b"x") + frame(CLOSE, b"\x0f\xa0bye"))
    relayed = bench.link.relay_read(bench.link.frame_header)
    assert relayed is not None
    assert relayed.close == Close(4000, "bye")
    assert read(client(), bench.heard()) == [Close(1000, "")]
    with pytest.raises(ClosedTransport) as caught:
        bench.link.relay_read(bench.link.frame_header)
    assert caught.value.close == relayed.close
    bad = Bench()
    bad.peer.send(frame(CONT))
    relayed = bad.link.relay_read(bad.link.frame_header)
    assert relayed is not None
    assert isinstance(relayed.error, BadFrame)
    assert [m.code for m in read(client(), bad.heard()) if isinstance(m, Close)] == [1002]


def test_not_every_transport_can_relay() -> None:
    near, _ = memory_streams()
    link = Transport(near, client())
    with pytest.raises(LocalProtocolError):
        link.relay_read(link.frame_header)
    assert not link.reading_mid_frame
    link.skip_message()


def test_skip_message_reaches_the_relay(bench: Bench) -> None:
    bench.peer.send(frame(BINARY, b"old")[:8])
    bench.link.relay_read(bench.link.frame_header)
    bench.link.skip_message()
    bench.peer.send(frame(BINARY, b"old")[8:] + frame(BINARY, b"new"))
    relayed = bench.link.relay_read(bench.link.frame_header)
    assert relayed is not None
    assert b"".join(relayed.pieces) == b"\x82\x03new"


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
    with pytest.raises(TimeoutError):
        link.receive(timeout=0.01)
    link.close(timeout=0.01)


def test_what_no_poll_would_report_is_read_at_once() -> None:
    """A loop that is told `nothing yet` waits for the socket; so nothing may be left that only TLS knows of."""

    class Slow(MemoryStream):
        @property
        def pending(self) -> bool:  # type: ignore[override]
            return bool(self._in.data)

        def recv(self, size: int) -> bytes:
            return super().recv(1)

    near, far = memory_streams()
    link = Transport(Slow(near._in, near._out), server())
    far.send(frame(BINARY, b"x" * 3 * READS_AT_ONCE))
    assert link.pending
    assert link.receive_nowait() == Binary(b"x" * 3 * READS_AT_ONCE)
    assert not link.pending


def test_a_message_that_the_last_read_made_whole_is_handed_over(bench: Bench) -> None:
    """Nothing else may come that would make a loop ask again."""

    class Slow(MemoryStream):
        def recv(self, size: int) -> bytes:
            return super().recv(1)

    whole = frame(BINARY, b"x" * (READS_AT_ONCE - 6))
    assert len(whole) == READS_AT_ONCE
    bench.link._stream = Slow(bench.near._in, bench.near._out)
    bench.peer.send(whole)
    assert bench.link.receive_nowait() == Binary(b"x" * (READS_AT_ONCE - 6))


def test_a_failed_write_is_told_to_each_writer_and_not_to_the_reader(bench: Bench) -> None:
    bench.peer.send(frame(TEXT, b"last words") + frame(PING))
    bench.near._out.ended = True
    for _ in range(2):
        with pytest.raises(BrokenTransport):
            bench.link.send_nowait(Text("x"))
    assert bench.link.deaf
    assert not bench.link.wants_write
    assert bench.link.flush()
    assert [bench.link.receive(1), bench.link.receive(1)] == [Text("last words"), Ping()]
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
    bench.link._wait(True, None)
    assert bench.link.receive(1) == Text("last words")
    assert bench.link.deaf


def test_a_reset_is_a_loss_after_what_had_arrived() -> None:
    near, far = tcp_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.sendall(frame(TEXT, b"last words"))
    far.close()
    link = adopt(near)
    assert link.receive(PATIENCE) == Text("last words")
    with pytest.raises(BrokenTransport, match="reset by peer"):
        link.receive(PATIENCE)
    link.abort()


def test_a_reset_after_the_peers_close_is_no_loss() -> None:
    near, far = tcp_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.sendall(frame(CLOSE))
    link = adopt(near)
    assert link.receive(PATIENCE) == Close(None, "")
    far.close()
    assert link.discard()
    with pytest.raises(ClosedTransport):
        link.receive(PATIENCE)
    link.abort()


def test_a_sender_hears_that_the_link_broke_while_it_waited() -> None:
    one, other = memory_pair()
    with pytest.raises(TimeoutError):
        one.send(Binary(bytes(1 << 20)), timeout=0)
    other.abort()
    with pytest.raises(BrokenTransport):
        one.send(Binary(b"x"), PATIENCE)


def test_bytes_are_counted() -> None:
    one, other = memory_pair()
    one.send(Binary(bytes(100)), 1)
    other.receive(1)
    assert one.sent == other.received == 109
    assert one.received == other.sent == 0


def test_headers_are_those_of_the_framing(bench: Bench) -> None:
    assert bench.link.frame_header(Kind.TEXT, 5) == b"\x81\x05"
    assert memory_pair()[0].frame_header(Kind.TEXT, 5) == b"\x01" + bytes(7) + b"\x05"

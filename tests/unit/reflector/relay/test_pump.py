from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from medusa.protocol.messages import Binary, Close, Kind, Message, Ping, Pong, Text
from medusa.reflector.relay.pump import Progress, Pump
from medusa.transports.adopt import adopt_websocket
from tests.blocking import receive, send
from tests.frames import BINARY, PING, TEXT, client, frame, head, headers_of, read
from tests.memory_transport import memory_pair
from tests.waiting import wait_until

MOVED, IDLE, BLOCKED = Progress.MOVED, Progress.IDLE, Progress.BLOCKED
CLOSED, LOST, BROKE_RULES = Progress.CLOSED, Progress.LOST, Progress.BROKE_RULES


class Wire:
    """A websocket link of a relay, and its peer's bare socket."""

    def __init__(self) -> None:
        near, self.peer = socket.socketpair()
        for sock in (near, self.peer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.peer.setblocking(False)
        self.link = adopt_websocket(near)

    def close(self) -> None:
        self.link.abort()
        self.peer.close()

    def heard(self) -> bytes:
        """All that has come so far."""
        data = b""
        try:
            while chunk := self.peer.recv(1 << 16):
                data += chunk
        except (BlockingIOError, ConnectionResetError):
            pass
        return data


@pytest.fixture
def source() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def sink() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def messages(data: bytes) -> list[Message]:
    return read(client(), data)


def test_text_and_binary_are_copied_one_for_one_and_counted(source: Wire, sink: Wire) -> None:
    source.peer.send(frame(TEXT, "é".encode()) + frame(BINARY) + frame(PING, b"1") + frame(BINARY, b"x"))
    pump = Pump(source.link, sink.link)
    assert pump.step() is MOVED
    assert pump.step() is IDLE
    assert messages(sink.heard()) == [Text("é"), Binary(b""), Binary(b"x")]
    assert messages(source.heard()) == [Pong(b"1")]
    assert (pump.messages, pump.size) == (3, 3)


def test_without_a_sink_data_is_dropped_but_the_rules_hold(source: Wire) -> None:
    pump = Pump(source.link)
    source.peer.send(frame(BINARY, b"dropped") + frame(PING))
    assert pump.step() is MOVED
    source.peer.send(frame(TEXT, b"medusa:{}"))
    assert pump.step() is BROKE_RULES
    heard = messages(source.heard())
    assert heard[0] == Pong()
    assert isinstance(heard[1], Close)
    assert heard[1].code == 1008
    assert (pump.messages, pump.size) == (0, 0)


def test_a_close_is_reported_once_and_after_the_data(source: Wire, sink: Wire) -> None:
    source.peer.send(frame(BINARY, b"last") + frame(8, b"\x0f\xa0bye"))
    pump = Pump(source.link, sink.link)
    assert pump.step() is CLOSED
    assert pump.close == Close(4000, "bye")
    assert messages(sink.heard()) == [Binary(b"last")]
    assert messages(source.heard()) == [Close(1000, "")]
    assert pump.step() is CLOSED


def test_a_lost_source(source: Wire, sink: Wire) -> None:
    source.peer.send(frame(BINARY, b"last"))
    source.peer.shutdown(socket.SHUT_WR)
    pump = Pump(source.link, sink.link)
    assert [pump.step(), pump.step(), pump.step()] == [MOVED, LOST, LOST]
    assert pump.why
    assert messages(sink.heard()) == [Binary(b"last")]
    assert not sink.link.mid_frame


def test_a_source_lost_inside_a_frame_leaves_the_sink_inside_one(source: Wire, sink: Wire) -> None:
    source.peer.send(head(BINARY, 1 << 20) + b"begun")
    pump = Pump(source.link, sink.link)
    assert pump.step() is MOVED
    source.peer.shutdown(socket.SHUT_WR)
    assert pump.step() is LOST
    assert sink.link.mid_frame
    assert headers_of(sink.heard()) == [(True, BINARY, 1 << 20)]


def test_nothing_is_read_while_the_sink_does_not_take_what_was_read(source: Wire, sink: Wire) -> None:
    pump, sent = Pump(source.link, sink.link), b""
    data = frame(BINARY, bytes(1000)) * 1000
    while pump.step() is not BLOCKED:
        sent += data[len(sent) : len(sent) + source.peer.send(data[len(sent) : len(sent) + 4096])]
    before = source.link.received
    assert [pump.step(), pump.step()] == [BLOCKED, BLOCKED]
    assert source.link.received == before
    heard = sink.heard()
    while pump.step() in (MOVED, BLOCKED):
        heard += sink.heard()
    # What was cut off inside a frame is still to come.
    assert len(messages(heard + sink.heard())) == len(sent) // (1000 + 8)


def test_a_sink_that_is_gone_does_not_end_the_source(source: Wire, sink: Wire) -> None:
    pump = Pump(source.link, sink.link)
    sink.peer.close()
    source.peer.send(frame(BINARY, b"x"))
    assert pump.step() is MOVED
    assert pump.sink is None
    source.peer.send(frame(BINARY, b"y") + frame(8))
    assert pump.step() is CLOSED


def test_a_sink_that_breaks_while_it_is_waited_for(source: Wire, sink: Wire) -> None:
    pump = Pump(source.link, sink.link)
    while pump.step() is not BLOCKED:
        source.peer.send(frame(BINARY, bytes(1000)))
    sink.peer.close()
    wait_until(lambda: pump.step() is not BLOCKED)
    assert pump.sink is None


def test_a_pong_to_the_sinks_peer_passes_between_large_frames(source: Wire, sink: Wire) -> None:
    size = 70_000
    pump, stream = Pump(source.link, sink.link), frame(BINARY, bytes(size)) * 3
    source.peer.send(stream[:1000])
    pump.step()
    sink.peer.send(frame(PING, b"now"))
    assert sink.link.receive_nowait() == Ping(b"now")
    assert not sink.link.wants_write
    heard = sink.heard()
    for at in range(1000, size + 3000, 1000):
        source.peer.send(stream[at : at + 1000])
        pump.step()
        heard += sink.heard()
    assert sink.link.mid_frame
    assert headers_of(heard) == [(True, BINARY, size), (True, 10, 3), (True, BINARY, size)]


def test_links_of_different_framing() -> None:
    wire = Wire()
    near, far = memory_pair()
    try:
        wire.peer.send(frame(TEXT, b"to memory") + frame(BINARY, b"x"))
        assert Pump(wire.link, near).step() is MOVED
        assert [receive(far), receive(far)] == [Text("to memory"), Binary(b"x")]
        send(far, Binary(b"y"))
        assert Pump(near, wire.link).step() is MOVED
        assert wire.heard() == wire.link.framing.header(Kind.BINARY, 1) + b"y"
    finally:
        wire.close()
        near.abort()
        far.abort()

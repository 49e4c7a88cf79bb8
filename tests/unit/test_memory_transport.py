"""The streams in memory, and their framing. As a transport it is in tests/conformance."""

from __future__ import annotations

import struct
import threading

import pytest

from medusa.protocol.errors import BadFrame, BadText, MessageTooBig, PolicyViolation, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Kind, Message, Ping, Pong, Text
from medusa.protocol.relay import Relayed
from medusa.protocol.websocket.relay import WEBSOCKET
from tests.memory_transport import MemoryCodec, memory_streams
from tests.waiting import PATIENCE


def packed(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BQ", kind, len(payload)) + payload


def test_the_framing() -> None:
    messages: list[Message] = [Text("é"), Binary(b""), Ping(b"1"), Pong(b"2"), Close(1000, "x"), Close(None, "")]
    frames = [(1, "é".encode()), (2, b""), (9, b"1"), (10, b"2"), (8, b"\x03\xe8x"), (8, b"")]
    for message, frame in zip(messages, frames, strict=True):
        codec = MemoryCodec()
        assert codec.frame(message) == packed(*frame)
        codec.receive_data(packed(*frame) + b"\1")
        assert [codec.next_message(), codec.next_message()] == [message, None]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (packed(0), BadFrame),
        (packed(3), BadFrame),
        (packed(9, bytes(126)), BadFrame),
        (packed(8, b"x"), BadFrame),
        (packed(1, b"\xff"), BadText),
        (struct.pack("!BQ", 2, 101), MessageTooBig),
    ],
)
def test_errors_are_raised_once(data: bytes, error: type[RemoteProtocolError]) -> None:
    codec, relay = MemoryCodec(100), MemoryCodec(100)
    codec.receive_data(data + packed(1))
    with pytest.raises(error):
        codec.next_message()
    codec.receive_data(packed(1))
    assert codec.next_message() is None
    assert type(relay.feed(packed(2, b"x") + data + packed(1), WEBSOCKET).error) is error
    assert relay.feed(packed(1), WEBSOCKET) == Relayed()


def test_the_relay_face() -> None:
    relay = MemoryCodec()
    data = packed(1, b"a") + packed(9, b"1") + packed(10) + packed(2, b"bc") + packed(8) + packed(2, b"after")
    result = relay.feed(data, WEBSOCKET)
    assert b"".join(result.pieces) == b"\x81\x01a\x82\x02bc"
    assert (result.messages, result.size, result.pings, result.close) == (2, 3, [Ping(b"1")], Close(None, ""))
    assert relay.feed(packed(1), WEBSOCKET) == Relayed()
    assert WEBSOCKET.header(Kind.TEXT, 1) == b"\x81\x01"


def test_a_forged_text_is_refused() -> None:
    result = MemoryCodec().feed(packed(1, b"medusa:{}"), WEBSOCKET)
    assert isinstance(result.error, PolicyViolation)
    assert result.pieces == []


@pytest.mark.parametrize(("begun", "dropped"), [(packed(2, b"old"), True), (packed(9, b"ping"), False)])
def test_skipping_drops_what_has_begun(begun: bytes, dropped: bool) -> None:
    for at in range(len(begun) + 1):
        relay = MemoryCodec()
        pings = relay.feed(begun[:at], WEBSOCKET).pings
        relay.skip_message()
        result = relay.feed(begun[at:] + packed(2, b"new"), WEBSOCKET)
        kept = [] if at > 0 or not dropped else [b"\x82\x03old"]
        assert b"".join(result.pieces) == b"".join([*kept, b"\x82\x03new"])
        assert len(pings + result.pings) == (not dropped)


def test_a_stream_holds_no_more_than_its_capacity() -> None:
    near, far = memory_streams(capacity=10)
    assert near.send(b"0123456789abc") == 10
    with pytest.raises(BlockingIOError):
        near.send(b"x")
    assert far.recv(4) == b"0123"
    assert near.send(b"xyz89") == 4
    assert far.recv(100) == b"456789xyz8"
    with pytest.raises(BlockingIOError):
        far.recv(1)


def test_a_clogged_stream_takes_nothing_until_it_is_freed() -> None:
    near, far = memory_streams()
    near.clog()
    with pytest.raises(BlockingIOError):
        near.send(b"x")
    assert far.send(b"y") == 1
    waiter = threading.Thread(target=near.wait, args=(False, True, PATIENCE))
    waiter.start()
    near.clog(False)
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert near.send(b"x") == 1


def test_the_end_of_a_stream() -> None:
    near, far = memory_streams()
    near.send(b"last")
    near.shutdown()
    assert [far.recv(10), far.recv(10), far.recv(10)] == [b"last", b"", b""]
    assert far.send(b"the other way") == 13
    near.close()
    near.close()
    for stream in (near, far):
        with pytest.raises(BrokenPipeError):
            stream.send(b"x")
    assert near.fileno() == -1

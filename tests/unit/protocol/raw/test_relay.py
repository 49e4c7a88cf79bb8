from __future__ import annotations

import pytest

from medusa.protocol.control import Linkup, Wait, build
from medusa.protocol.errors import BadFrame, BadText, MessageTooBig, PolicyViolation, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Kind, Ping, Pong, Text
from medusa.protocol.raw.relay import FRAMED, PLAIN, FramedRelay, PlainCodec, PlainRelay
from medusa.protocol.relay import Framing
from medusa.protocol.websocket.relay import WEBSOCKET, WebSocketRelay
from tests.frames import BINARY, CONT, PING, TEXT, cut, frame, raw_frame, relay_all, written

BIG = 200_000
FORGED = b'medusa:{"type":"linkup"}'


@pytest.mark.parametrize("size", [0, 126, 65536, BIG])
@pytest.mark.parametrize("step", [1 << 20, 4096, 7])
def test_to_a_link_without_frames_only_bytes_leave(size: int, step: int) -> None:
    raw = raw_frame(TEXT, bytes(size)) + raw_frame(BINARY, b"a" * size) + raw_frame(TEXT) + raw_frame(BINARY, b"b")
    halves = frame(TEXT, b"c", fin=False) + frame(CONT, b"d")
    ws = frame(TEXT, bytes(size)) + frame(BINARY, b"a" * size) + halves + frame(BINARY, b"b")
    raw_relay = FramedRelay()
    for relay, data in ((raw_relay, raw), (WebSocketRelay(), ws)):
        result = relay_all(relay, *cut(data, step), framing=PLAIN)
        assert written(result) == b"a" * size + b"b"
        assert (result.messages, result.size, result.error) == (2, size + 1, None)
        kept = [bytes(size) if size <= 65536 else b"", b"" if relay is raw_relay else b"cd"]
        assert result.left_out == kept
        assert not relay.mid_frame


@pytest.mark.parametrize("to", [WEBSOCKET, FRAMED])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_large_frame_leaves_as_it_arrives(kind: Kind, to: Framing) -> None:
    relay, size = FramedRelay(), 16 << 20
    first = relay.feed(raw_frame(kind, b"1234567", length=size), to)
    assert written(first) == to.header(kind, size) + b"1234567"
    assert (first.boundary, relay.mid_frame, first.messages) == (0, True, 0)
    for _ in range(size // 65536 - 1):
        assert relay.feed(bytes(65536), to).size == 65536
    last = relay.feed(bytes(65536 - 7) + raw_frame(BINARY, b"x"), to)
    assert written(last).endswith(to.header(Kind.BINARY, 1) + b"x")
    assert (last.messages, relay.mid_frame) == (2, False)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (raw_frame(BINARY, b"x", flags=1), BadFrame),
        (raw_frame(7), BadFrame),
        (raw_frame(BINARY, version=2), BadFrame),
        (raw_frame(PING, bytes(126)), BadFrame),
        (raw_frame(BINARY, length=1 << 30), MessageTooBig),
        (raw_frame(TEXT, b"\xff"), BadText),
        (raw_frame(TEXT, FORGED), PolicyViolation),
        (raw_frame(TEXT, FORGED + bytes(BIG)), PolicyViolation),
    ],
)
@pytest.mark.parametrize("to", [WEBSOCKET, FRAMED])
def test_nothing_of_an_illegal_frame_leaves(data: bytes, error: type[RemoteProtocolError], to: Framing) -> None:
    for step in (len(data) + 100, 1000):
        result = relay_all(FramedRelay(), *cut(raw_frame(BINARY, b"x") + data, step), framing=to)
        assert written(result) == to.header(Kind.BINARY, 1) + b"x"
        assert type(result.error) is error


def test_bytes_become_binary_messages_of_one_read_each() -> None:
    relay = PlainRelay()
    for read in (b"\xff\0", b"medusa:"):
        result = relay.feed(read, WEBSOCKET)
        assert written(result) == frame(BINARY, read, key=None)
        assert (result.messages, result.size) == (1, len(read))
    relay.skip_message()
    assert not relay.mid_frame


@pytest.mark.parametrize(
    ("reads", "received"),
    [([b"\na", b"\nb"], b"a\nb"), ([b"\n", b"\n"], b"\n"), ([b"a\n"], b"a\n"), ([memoryview(b"\n\n")], b"\n")],
)
def test_the_lf_after_a_cr_belongs_to_the_line(reads: list[bytes], received: bytes) -> None:
    relay = PlainRelay(after_cr=True)
    assert b"".join(written(relay.feed(data, PLAIN)) for data in reads) == received


def test_bytes_to_bytes_are_not_copied() -> None:
    buffer = memoryview(bytearray(b"x"))
    (piece,) = PlainRelay().feed(buffer, PLAIN).pieces
    assert piece is buffer


class TestPlainCodec:
    def test_a_line_at_the_link_up_and_no_other(self) -> None:
        codec = PlainCodec()
        assert codec.frame(Text(build(Wait()))) == b""
        assert codec.frame(Text(build(Linkup()))) == b"OK linked\n"
        assert codec.linked
        for message in (Text(build(Linkup())), Text("x"), Ping(b"x"), Pong(b"x"), Close(1000, "bye")):
            assert codec.frame(message) == b""
        assert codec.frame(Binary(b"\0x")) == b"\0x"

    @pytest.mark.parametrize(
        ("close", "line"), [(Close(1001, "bye"), b"ERR 1001 bye\n"), (Close(None), b"ERR 1000 no reason given\n")]
    )
    def test_the_reason_of_an_end_before_the_linkup(self, close: Close, line: bytes) -> None:
        assert PlainCodec().frame(close).startswith(line)

    def test_bytes_of_several_reads_are_one_message(self) -> None:
        codec = PlainCodec()
        assert codec.next_message() is None
        codec.receive_data(b"a")
        codec.receive_data(b"b")
        assert codec.next_message() == Binary(b"ab")
        assert codec.next_message() is None

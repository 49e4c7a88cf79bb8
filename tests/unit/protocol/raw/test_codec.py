from __future__ import annotations

import pytest

from medusa.protocol.errors import BadFrame, BadText, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Kind, Message, Ping, Pong, Text
from medusa.protocol.raw.codec import MAX_LENGTH, FramedCodec, parse_header
from medusa.protocol.raw.relay import FRAMED
from tests.frames import BINARY, CLOSE, PING, PONG, TEXT, cut, outcome, raw_frame, read

# As docs/protocol.md shows them.
EXAMPLES = [
    ("110000000000000548656c6c6f", Text("Hello")),
    ("1200000000000002ff00", Binary(b"\xff\0")),
    ("1200000000000000", Binary(b"")),
    ("190000000000000548656c6c6f", Ping(b"Hello")),
    ("1a0000000000000548656c6c6f", Pong(b"Hello")),
    ("180000000000000603e8646f6e65", Close(1000, "done")),
    ("1800000000000000", Close(None, "")),
]


@pytest.mark.parametrize(("data", "message"), EXAMPLES)
def test_the_examples_of_the_document(data: str, message: Message) -> None:
    raw = bytes.fromhex(data)
    assert read(FramedCodec(), raw) == [message]
    assert read(FramedCodec(), *cut(raw, 1)) == [message]
    assert FramedCodec().frame(message) == raw


@pytest.mark.parametrize("size", [0, 1, 65536, MAX_LENGTH])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_data_header(kind: Kind, size: int) -> None:
    assert FRAMED.header(kind, size) == raw_frame(kind, length=size)


@pytest.mark.parametrize(
    ("data", "shown_by", "error"),
    [
        (raw_frame(BINARY, version=0), 1, BadFrame),
        (raw_frame(BINARY, version=2), 1, BadFrame),
        (raw_frame(0), 1, BadFrame),
        (raw_frame(3), 1, BadFrame),
        (raw_frame(15), 1, BadFrame),
        (raw_frame(BINARY, flags=1), 2, BadFrame),
        (raw_frame(PING, flags=0x80), 2, BadFrame),
        (raw_frame(PING, bytes(126)), 8, BadFrame),
        (raw_frame(CLOSE, length=1 << 40), 8, BadFrame),
        (raw_frame(BINARY, length=1001), 8, MessageTooBig),
        (raw_frame(TEXT, length=MAX_LENGTH), 8, MessageTooBig),
    ],
)
def test_an_illegal_frame_is_refused_on_what_shows_it(
    data: bytes, shown_by: int, error: type[RemoteProtocolError]
) -> None:
    connection = FramedCodec(1000)
    assert read(connection, data[: shown_by - 1]) == []
    with pytest.raises(error):
        read(connection, data[shown_by - 1 : shown_by])
    assert read(connection, raw_frame(BINARY)) == []  # ignored after the error


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (raw_frame(TEXT, b"\xff"), BadText),
        (raw_frame(CLOSE, b"\x03"), BadFrame),
        (raw_frame(CLOSE, b"\x03\xed"), BadFrame),
        (raw_frame(CLOSE, b"\x03\xe8\xff"), BadText),
    ],
)
def test_an_illegal_payload(data: bytes, error: type[RemoteProtocolError]) -> None:
    assert outcome(raw_frame(PONG) + data, connection=FramedCodec()) == ([Pong()], error)


def test_the_limit_is_of_a_payload() -> None:
    assert read(FramedCodec(3), raw_frame(BINARY, b"abc")) == [Binary(b"abc")]


def test_how_many_bytes_a_header_needs() -> None:
    frame = raw_frame(BINARY, b"abc")
    assert [parse_header(frame[:have], 0, 3) for have in (0, 1, 2, 7)] == [1, 2, 8, 8]

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from medusa.protocol.errors import BadFrame, LocalProtocolError, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Kind, Message, Part, Ping, Pong, Text
from medusa.protocol.websocket import codec
from medusa.protocol.websocket.codec import WebSocketCodec
from medusa.protocol.websocket.header import build_header, parse_close, parse_header
from medusa.protocol.websocket.masking import NO_MASK, PURE_LIMIT, apply_mask_pure
from medusa.protocol.websocket.relay import WEBSOCKET
from tests.frames import BINARY, CLOSE, CONT, ILLEGAL, PING, PONG, TEXT, client, cut, frame, head, outcome, read, server

# RFC 6455 section 5.7, as sent by a server or a client.
RFC_EXAMPLES = [
    ("a single-frame unmasked text message", client, "810548656c6c6f", [Text("Hello")]),
    ("a single-frame masked text message", server, "818537fa213d7f9f4d5158", [Text("Hello")]),
    ("a fragmented unmasked text message", client, "010348656c80026c6f", [Text("Hello")]),
    ("unmasked ping request", client, "890548656c6c6f", [Ping(b"Hello")]),
    ("masked ping response", server, "8a8537fa213d7f9f4d5158", [Pong(b"Hello")]),
    ("256 bytes binary message", client, "827e0100" + "ab" * 256, [Binary(b"\xab" * 256)]),
    ("64 KiB binary message", client, "827f0000000000010000" + "ab" * 65536, [Binary(b"\xab" * 65536)]),
]


@pytest.mark.parametrize(("end", "data", "messages"), [x[1:] for x in RFC_EXAMPLES], ids=[x[0] for x in RFC_EXAMPLES])
def test_the_examples_of_the_rfc(end: Callable[[], WebSocketCodec], data: str, messages: list[Message]) -> None:
    raw = bytes.fromhex(data)
    assert read(end(), raw) == messages
    assert read(end(), *cut(raw, 1)) == messages


def test_our_frames_are_those_of_the_rfc() -> None:
    assert server().frame(Text("Hello")).hex() == "810548656c6c6f"
    assert server().frame(Ping(b"Hello")).hex() == "890548656c6c6f"
    masked = WebSocketCodec(client()._role, lambda: bytes.fromhex("37fa213d"))
    assert masked.frame(Text("Hello")).hex() == "818537fa213d7f9f4d5158"
    assert masked.frame(Pong(b"Hello")).hex() == "8a8537fa213d7f9f4d5158"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_header_has_its_shortest_form(kind: Kind, size: int) -> None:
    expected = head(kind, size, key=None)
    assert build_header(kind, size) == expected
    assert WEBSOCKET.header(kind, size) == expected
    assert server().frame(Binary(bytes(size)))[1:] == expected[1:] + bytes(size)


def test_a_client_masks_each_frame_with_a_new_key() -> None:
    keys = iter([b"\1\2\3\4", b"\5\6\7\x08"])
    connection = WebSocketCodec(client()._role, lambda: next(keys))
    assert connection.frame(Binary(b"x" * 300)) == frame(BINARY, b"x" * 300, key=b"\1\2\3\4")
    assert connection.frame(Ping()) == frame(PING, key=b"\5\6\7\x08")


@pytest.mark.parametrize("size", [PURE_LIMIT, PURE_LIMIT + 1])
def test_without_the_c_routine_large_payloads_are_not_masked(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "apply_mask", apply_mask_pure)
    key = b"\1\2\3\4" if size <= PURE_LIMIT else NO_MASK
    assert WebSocketCodec(client()._role, lambda: b"\1\2\3\4").frame(Binary(b"x" * size)) == frame(
        BINARY, b"x" * size, key=key
    )


@pytest.mark.parametrize(("data", "error"), [x[1:] for x in ILLEGAL], ids=[x[0] for x in ILLEGAL])
def test_illegal_frames_are_refused_however_they_are_cut(data: bytes, error: type[RemoteProtocolError]) -> None:
    for step in (1, 3, len(data)):
        messages, refused = outcome(frame(TEXT), *cut(data + frame(TEXT), step))
        assert refused is error
        assert all(message == Text("") for message in messages[:1])
        assert len(messages) <= 2


@pytest.mark.parametrize(
    "data",
    [b"\xc1\x80", b"\x83\x80", b"\x81\x05", b"\x09\x80", b"\x89\xfe", b"\x81\xfe\x00\x7d", head(BINARY, 1 << 40)[:10]],
    ids=bytes.hex,
)
def test_a_refusal_needs_no_more_than_the_bytes_that_show_it(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_header(data, 0, True, 1 << 24)
    assert isinstance(parse_header(data[:1], 0, True, 1 << 24), int)


def test_a_client_refuses_masked_frames() -> None:
    with pytest.raises(BadFrame):
        read(client(), frame(TEXT, b"x"))


def test_how_many_bytes_a_header_needs() -> None:
    whole = head(BINARY, 70000)
    needs = [parse_header(whole[:have], 0, True, 1 << 24) for have in range(len(whole))]
    assert needs == [2, 2, *[10] * 8, *[14] * 4]
    assert parse_header(b"??" + whole, 2, True, 1 << 24) == (True, BINARY, whole[-4:], 70000, 14)


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_close_codes_that_may_be_sent(code: int) -> None:
    assert read(server(), frame(CLOSE, struct.pack("!H", code) + b"why")) == [Close(code, "why")]
    assert parse_close(server().frame(Close(code, "why"))[2:]) == Close(code, "why")


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_close_codes_that_may_not_be_sent(code: int) -> None:
    with pytest.raises(BadFrame):
        read(server(), frame(CLOSE, struct.pack("!H", code)))
    with pytest.raises(LocalProtocolError):
        server().frame(Close(code))


def test_a_close_without_a_code() -> None:
    assert read(server(), frame(CLOSE)) == [Close(None, "")]
    assert server().frame(Close(None, "lost")) == b"\x88\0"


def test_a_close_reason_is_cut_to_what_a_control_frame_holds() -> None:
    sent = server().frame(Close(1000, "é" * 100))
    assert sent[1] == 124
    assert parse_close(sent[2:]) == Close(1000, "é" * 61)


@pytest.mark.parametrize("limit", [10, 126, 65536])
def test_a_message_may_be_as_long_as_the_limit(limit: int) -> None:
    for size in (limit - 1, limit):
        assert outcome(frame(BINARY, bytes(size)), max_message=limit) == ([Binary(bytes(size))], None)
        pieces = frame(BINARY, bytes(size - 1), fin=False) + frame(CONT, fin=False) + frame(CONT, b"\0")
        assert outcome(pieces, max_message=limit) == ([Binary(bytes(size))], None)
    assert outcome(head(BINARY, limit + 1), max_message=limit) == ([], MessageTooBig)
    pieces = frame(BINARY, bytes(limit), fin=False) + frame(CONT, fin=False) + head(CONT, 1)
    assert outcome(pieces, max_message=limit) == ([], MessageTooBig)


def test_the_limit_is_not_for_control_frames() -> None:
    assert outcome(frame(PING, bytes(125)), max_message=10) == ([Ping(bytes(125))], None)


def test_an_error_is_raised_once_and_ends_everything() -> None:
    connection = server()
    with pytest.raises(BadFrame):
        read(connection, b"\xff\xff" + frame(TEXT, b"x"))
    assert read(connection, frame(TEXT, b"x"), b"\xff\xff") == []


def test_work_grows_with_the_bytes_alone() -> None:
    """Work that grew with their square would take minutes: longer than a test may last."""
    payload = bytes(range(256)) * 16384
    pieces = [frame(CONT if at else BINARY, payload[at : at + 64], fin=False) for at in range(0, len(payload), 64)]
    assert read(server(), b"".join(pieces) + frame(CONT)) == [Binary(payload)]
    assert read(server(), *cut(frame(BINARY, payload[:65536]), 1)) == [Binary(payload[:65536])]
    assert read(server(), frame(PONG) * 50_000) == [Pong()] * 50_000


@pytest.mark.parametrize("step", [1, 7, 64, 1000, 1 << 20])
def test_long_messages_are_read_in_parts_as_they_arrive(step: int) -> None:
    """However they are cut; what is short, text or in fragments comes as a whole. Later bytes change no part."""
    connection = client()
    connection.read_in_parts(200)
    short, long = bytes(range(200)), bytes(range(256)) * 20
    fragments = frame(BINARY, long, fin=False, key=None) + frame(CONT, long, key=None)
    data = b"".join(frame(BINARY, payload, key=None) for payload in (short, long, b"", long))
    parts = read(connection, *cut(data + fragments + frame(TEXT, 300 * b"t", key=None), step))
    found: list[bytes] = []
    for part in parts:
        if isinstance(part, Text):
            found.append(part.text.encode())
            continue
        assert isinstance(part, (Binary, Part))
        if isinstance(part, Binary) or part.first:
            assert isinstance(part, Binary) or len(part.data) >= 64
            found.append(bytes(part.data))
        else:
            found[-1] += part.data
    assert found == [short, long, b"", long, 2 * long, 300 * b"t"]


def test_no_part_of_a_message_above_the_limit_is_read() -> None:
    connection = client(1000)
    connection.read_in_parts(200)
    with pytest.raises(MessageTooBig):
        read(connection, frame(BINARY, bytes(1001), key=None))


@pytest.mark.parametrize("end", [client, server])
@pytest.mark.parametrize("size", [0, 5, PURE_LIMIT + 1])
def test_the_frame_of_pieces_is_that_of_the_whole(end: Callable[[], WebSocketCodec], size: int) -> None:
    data = bytes(range(256)) * 20
    pieces: list[bytes | memoryview] = [data[:2], memoryview(data)[2:size], b""] if size else []
    whole = Binary(b"".join(pieces))
    assert b"".join(end().binary(pieces)) == end().frame(whole)

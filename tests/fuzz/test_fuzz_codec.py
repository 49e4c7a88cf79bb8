"""Any bytes: accepted, or one of the documented errors; whole, byte by byte and cut anywhere agree.

Each check has a short run for every day and a long one, marked slow.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from medusa.protocol.errors import BadFrame, BadText, HandshakeError, MessageTooBig, PolicyViolation
from medusa.protocol.http.head import HeadReader, has_body, parse_request, parse_response
from medusa.protocol.messages import Close, Ping
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.greeting import LineReader, parse_greeting
from medusa.protocol.raw.relay import FRAMED, FramedRelay
from medusa.protocol.relay import Relayed
from medusa.protocol.websocket import relay as relay_module
from medusa.protocol.websocket.handshake import check_accepted, check_upgrade
from medusa.protocol.websocket.relay import WEBSOCKET, WebSocketRelay
from tests.frames import KEY, client, cut, frame, head, is_data, outcome, raw_frame, read, relay_all, written

LIMIT, STREAMED = 3000, 300
"""Bytes: small, so that short input reaches past them."""

DOCUMENTED = {None, BadFrame, BadText, MessageTooBig}

short = settings(max_examples=400)
long = settings(max_examples=20_000, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))

payloads = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.integers(0, LIMIT + 10).map(bytes),
    st.sampled_from([b"medusa:", b"medusa", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xff"]),
    st.builds(lambda code, rest: struct.pack("!H", code) + rest, st.integers(990, 5010), st.binary(max_size=130)),
)
opcodes = st.sampled_from([0, 0, 1, 1, 2, 2, 8, 9, 10, 3, 11, 15])
frames = st.builds(
    lambda opcode, payload, fin, rsv, key: frame(opcode, payload, fin=fin, rsv=rsv, key=key),
    opcodes,
    payloads,
    st.booleans(),
    st.sampled_from([0] * 12 + [0x10, 0x40]),
    st.sampled_from([KEY] * 6 + [bytes(4)] * 6 + [None]),
)
headers = st.builds(
    lambda opcode, length, fin, width: head(opcode, length % 126 if width == 0 else length, fin=fin, width=width),
    opcodes,
    st.integers(0, (1 << 64) - 1) | st.integers(0, 70_000),
    st.booleans(),
    st.sampled_from([0, 2, 8]),
)
streams = st.lists(st.one_of(frames, frames, frames, headers, st.binary(max_size=12)), max_size=8).map(b"".join)


raw_frames = st.builds(
    lambda kind, payload, version, flags, length: raw_frame(
        kind, payload, version=version, flags=flags, length=None if length > 70_000 else length
    ),
    opcodes,
    payloads,
    st.sampled_from([1] * 12 + [0, 2]),
    st.sampled_from([0] * 12 + [1, 0x80]),
    st.integers(0, 1 << 20),
)
raw_streams = st.lists(st.one_of(raw_frames, raw_frames, st.binary(max_size=12)), max_size=8).map(b"".join)
greetings = st.lists(
    st.sampled_from(
        [b"MEDUSA/1", b"ATTACH", b" ", b" ", b"/attach/x/slave", b"client", b"agent", b"\r", b"\n", b"\x16"]
    )
    | st.binary(max_size=9)
    | st.just(bytes(8180)),
    max_size=8,
).map(b"".join)


short_and_long = pytest.mark.parametrize(
    "how",
    [
        pytest.param(short, id="short"),
        pytest.param(long, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)


def anywhere(data: bytes, seed: int) -> list[bytes]:
    """`data` cut at random."""
    choose, at, chunks = random.Random(seed), 0, []
    while at < len(data):
        length = choose.choice((1, 2, 5, 50, 1000))
        chunks.append(data[at : at + length])
        at += length
    return chunks


def check_frames(data: bytes, seed: int) -> None:
    messages, error = outcome(data, max_message=LIMIT)
    assert error in DOCUMENTED
    for chunks in (cut(data, 1), anywhere(data, seed)):
        assert outcome(*chunks, max_message=LIMIT) == (messages, error)


def check_relay(data: bytes, seed: int) -> None:
    messages, error = outcome(data, max_message=LIMIT)
    results = []
    for chunks in ([data], list(cut(data, 1)), anywhere(data, seed)):
        for streamed in (7, STREAMED):
            in_c, in_python = (_relayed(way, streamed, chunks) for way in (relay_module.rewrite, None))
            assert _shown(*in_c) == _shown(*in_python)
        results.append(in_c)
    whole, mid_frame = results[0]
    for result, inside in results:
        assert (type(result.error), result.close, inside) == (type(whole.error), whole.close, mid_frame)
        assert (result.messages, result.pings) == (whole.messages, whole.pings)
        if not (whole.error and mid_frame):  # of a text that turns bad, what came in earlier pieces has left
            assert (written(result), result.size) == (written(whole), whole.size)
        less, more = sorted((written(result), written(whole)), key=len)
        assert more.startswith(less)
    if isinstance(whole.error, PolicyViolation):
        return
    # Text that passes through piece by piece is found bad before its frame is whole.
    assert type(whole.error) is (error or type(None)) or (error is None and type(whole.error) is BadText)
    # What has left is what the codec reads, apart from a frame that is not whole yet.
    wanted = [message for message in messages if is_data(message)]
    assert read(client(), written(whole)) == wanted
    assert whole.messages == len(wanted)
    assert whole.pings == [message for message in messages if isinstance(message, Ping)]
    assert whole.close == next((message for message in messages if isinstance(message, Close)), None)


def _relayed(way: object, streamed: int, chunks: list[bytes]) -> tuple[Relayed, bool]:
    with mock.patch.object(relay_module, "rewrite", way):
        relay = WebSocketRelay(LIMIT, streamed)
    result = relay_all(relay, *chunks)
    result.pieces = [written(result)]
    return result, relay.mid_frame


def _shown(result: Relayed, mid_frame: bool) -> str:
    """All attributes of the result as text, because two errors are never equal."""
    names = [name for name in dir(result) if not name.startswith("_")]
    return repr([mid_frame, *((name, getattr(result, name)) for name in names)])


def check_raw_frames(data: bytes, seed: int) -> None:
    messages, error = outcome(data, connection=FramedCodec(LIMIT))
    assert error in DOCUMENTED
    wanted = [message for message in messages if is_data(message)]
    for chunks in ([data], list(cut(data, 1)), anywhere(data, seed)):
        assert outcome(*chunks, connection=FramedCodec(LIMIT)) == (messages, error)
        for reader, framing in ((client(), WEBSOCKET), (FramedCodec(), FRAMED)):
            result = relay_all(FramedRelay(LIMIT, STREAMED), *chunks, framing=framing)
            if isinstance(result.error, PolicyViolation):
                continue
            assert type(result.error) is (error or type(None)) or (error is None and type(result.error) is BadText)
            assert read(reader, written(result)) == wanted
            assert result.messages == len(wanted)
            assert result.pings == [message for message in messages if isinstance(message, Ping)]
            assert result.close == next((message for message in messages if isinstance(message, Close)), None)


def check_greetings(data: bytes, seed: int) -> None:
    answers = {str(refused_line(chunks)) for chunks in ([data], cut(data, 1), anywhere(data, seed))}
    assert len(answers) == 1


def refused_line(chunks: Iterable[bytes]) -> object:
    """What is made of a first line: a greeting, the words of its refusal, or nothing yet."""
    reader = LineReader()
    try:
        for chunk in chunks:
            found = reader.feed(chunk)
            if found:
                return parse_greeting(found[0])
    except HandshakeError as error:
        return error.http_status, str(error)
    return None


def check_heads(data: bytes, seed: int) -> None:
    whole = found_head(HeadReader(), [data])
    assert found_head(HeadReader(), cut(data, 1)) == found_head(HeadReader(), anywhere(data, seed)) == whole
    if not isinstance(whole, bytes):
        return
    body = refusal(lambda: has_body(parse_request(whole).headers))
    assert {body, refusal(lambda: check_upgrade(parse_request(whole)))} <= {None, 400, 405, 426}
    assert 100 <= (refusal(lambda: check_accepted(parse_response(whole), "x" * 24)) or 101) < 600


def refusal(parse: Callable[[], object]) -> int | None:
    try:
        parse()
    except HandshakeError as error:
        return error.http_status
    return None


def found_head(reader: HeadReader, chunks: Iterable[bytes]) -> bytes | str:
    taken = b""
    try:
        for chunk in chunks:
            taken += chunk
            found = reader.feed(chunk)
            if found:
                assert taken == found[0] + b"\r\n\r\n" + found[1]
                return found[0]
    except HandshakeError:
        return "refused"
    return "unfinished"


lines = st.one_of(
    st.sampled_from([b"GET / HTTP/1.1", b"HTTP/1.1 101 x", b"Host: h", b"Upgrade: websocket", b"Connection: upgrade"]),
    st.sampled_from([b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13", b""]),
    st.sampled_from([b"Content-Length: 5", b"Transfer-Encoding: chunked", b" folded", b"Name : x", b": x"]),
    st.sampled_from([b"a: \xff", b"a: \0", b"x: \n"]),
    st.binary(max_size=30),
)
heads = st.builds(
    lambda parts, ends: b"".join(part + end for part, end in zip(parts, ends, strict=False)) + b"\r\n\r\n",
    st.lists(lines, max_size=12),
    st.lists(st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r"]), min_size=12, max_size=12),
)


@short_and_long
@pytest.mark.parametrize(
    ("input_data", "check"),
    [
        (streams, check_frames),
        (streams, check_relay),
        (raw_streams, check_raw_frames),
        (greetings, check_greetings),
        (heads | st.binary(max_size=100), check_heads),
    ],
    ids=["frames", "relay", "raw-frames", "greetings", "heads"],
)
def test_any_bytes(input_data: st.SearchStrategy[bytes], check: Callable[[bytes, int], None], how: settings) -> None:
    @how
    @given(data=input_data, seed=st.integers(0, 1 << 16))
    def attempt(data: bytes, seed: int) -> None:
        check(data, seed)

    attempt()

"""However bytes are cut, codec and relay make the same of them, and they agree with each other."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.relay import FRAMED, PLAIN, FramedRelay
from medusa.protocol.websocket import relay as relay_module
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.relay import WEBSOCKET, WebSocketRelay
from tests.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    client,
    frame,
    is_data,
    outcome,
    read,
    relay_all,
    server,
    written,
)

SIZES = st.sampled_from([0, 1, 100, 125, 126, 65535, 65536, 65537, 70000])
keys = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=60).filter(lambda text: not text.startswith("medusa:"))
messages = st.one_of(
    texts.map(Text),
    st.builds(lambda text, size: Text((text or "é") * (size // 2)), texts, SIZES),
    st.binary(max_size=200).map(Binary),
    SIZES.map(lambda size: Binary(bytes(size))),
    st.binary(max_size=125).map(Ping),
    st.binary(max_size=125).map(Pong),
)
frames = st.builds(
    frame,
    st.sampled_from([TEXT, BINARY, BINARY, CONT, PING, PONG, CLOSE, 7]),
    st.one_of(st.binary(max_size=200), SIZES.map(bytes), st.text(max_size=200).map(str.encode), st.just(b"medusa:")),
    fin=st.sampled_from([True, True, True, False]),
    key=st.one_of(keys, keys, st.just(bytes(4)), st.none()),
)
closes = st.builds(Close, st.sampled_from([1000, 1001, 3000, 4999]), st.text(max_size=30))
cuts = st.lists(st.integers(1, 100_000), max_size=20)


def chunks(data: bytes, lengths: list[int]) -> list[bytes]:
    """`data` in pieces of these lengths; what is left over at the end."""
    found, at = [], 0
    for length in lengths:
        found.append(data[at : at + length])
        at += length
    return [chunk for chunk in (*found, data[at:]) if chunk]


def pieces(message: Message, key: bytes, lengths: list[int]) -> bytes:
    """A data message in fragments of these lengths."""
    payload = message.text.encode() if isinstance(message, Text) else message.data  # type: ignore[union-attr]
    parts = [*chunks(payload, lengths), b""]
    kinds = [TEXT if isinstance(message, Text) else BINARY, *[CONT] * (len(parts) - 1)]
    frames = zip(kinds, parts, strict=True)
    return b"".join(frame(kind, part, fin=at == len(parts) - 1, key=key) for at, (kind, part) in enumerate(frames))


@given(sent=st.lists(messages, max_size=8), lengths=cuts, key=keys)
def test_what_one_end_frames_the_other_reads(sent: list[Message], lengths: list[int], key: bytes) -> None:
    dialling = WebSocketCodec(Role.CLIENT, lambda: key)
    for source, sink in ((dialling, server()), (server(), client())):
        data = b"".join(source.frame(message) for message in sent)
        assert read(sink, *chunks(data, lengths)) == sent


@given(sent=st.lists(st.tuples(messages, cuts), max_size=6), close=closes, lengths=cuts, key=keys)
def test_the_relay_passes_on_what_the_codec_reads(
    sent: list[tuple[Message, list[int]]], close: Close, lengths: list[int], key: bytes
) -> None:
    dialling = WebSocketCodec(Role.CLIENT, lambda: key)
    data = b"".join(
        pieces(message, key, parts) if parts and is_data(message) else dialling.frame(message)
        for message, parts in sent
    )
    data += dialling.frame(close) + b"ignored"
    expected = [message for message, _ in sent]
    assert outcome(*chunks(data, lengths)) == ([*expected, close], None)
    result = relay_all(WebSocketRelay(), *chunks(data, lengths))
    assert read(client(), written(result)) == [message for message in expected if is_data(message)]
    assert result.pings == [message for message in expected if isinstance(message, Ping)]
    assert (result.close, result.error) == (close, None)
    assert result.messages == sum(map(is_data, expected))


@pytest.mark.skipif(relay_module.rewrite is None, reason="needs the fast path in C: a compiler, then make .venv/.test")
@given(data=st.lists(frames, max_size=12).map(b"".join), lengths=cuts, above=st.sampled_from([7, 100, 65536]))
def test_the_relay_in_c_and_that_in_python_do_the_same(data: bytes, lengths: list[int], above: int) -> None:
    results, ways = [], (relay_module.rewrite, None)
    for way in ways:
        with mock.patch.object(relay_module, "rewrite", way):
            relay = WebSocketRelay(max_message=70_000, stream_above=above)
        result = relay_all(relay, *chunks(data, lengths))
        state = (type(result.error), str(result.error), result.pings, result.close, result.boundary)
        results.append((written(result), result.messages, result.size, relay.mid_frame, *state))
    assert results[0] == results[1]


@given(sent=st.lists(messages, max_size=8), close=closes, lengths=cuts)
def test_the_same_holds_for_the_frames_of_raw_tcp(sent: list[Message], close: Close, lengths: list[int]) -> None:
    whole = [*sent, close]
    data = b"".join(FramedCodec().frame(message) for message in whole)
    assert read(FramedCodec(), *chunks(data, lengths)) == whole
    wanted = [message for message in sent if is_data(message)]
    for end, framing in ((client(), WEBSOCKET), (FramedCodec(), FRAMED)):
        received = relay_all(FramedRelay(), *chunks(data + b"ignored", lengths), framing=framing)
        assert read(end, written(received)) == wanted
        assert (received.messages, received.close, received.error) == (len(wanted), close, None)
        assert received.pings == [message for message in sent if isinstance(message, Ping)]


@given(sent=st.lists(messages, max_size=8), lengths=cuts, key=keys)
def test_a_link_without_frames_gets_the_bytes_and_no_text(sent: list[Message], lengths: list[int], key: bytes) -> None:
    for source, relay in (
        (WebSocketCodec(Role.CLIENT, lambda: key), WebSocketRelay()),
        (FramedCodec(), FramedRelay()),
    ):
        data = b"".join(source.frame(message) for message in sent)
        received = relay_all(relay, *chunks(data, lengths), framing=PLAIN)
        assert written(received) == b"".join(message.data for message in sent if isinstance(message, Binary))
        texts = [message.text.encode() for message in sent if isinstance(message, Text)]
        assert (received.left_out, received.error) == ([text if len(text) <= 65536 else b"" for text in texts], None)

"""However bytes are cut, a codec reads what another wrote. tests/fuzz has what relay and codec make of any bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.relay import PLAIN, FramedRelay
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.relay import WebSocketRelay
from tests.frames import client, read, relay_all, server, written

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
closes = st.builds(Close, st.sampled_from([1000, 1001, 3000, 4999]), st.text(max_size=30))
cuts = st.lists(st.integers(1, 100_000), max_size=20)


def chunks(data: bytes, lengths: list[int]) -> list[bytes]:
    """`data` in pieces of these lengths; what is left over at the end."""
    found, at = [], 0
    for length in lengths:
        found.append(data[at : at + length])
        at += length
    return [chunk for chunk in (*found, data[at:]) if chunk]


@given(sent=st.lists(messages, max_size=8), close=closes, lengths=cuts, key=keys)
def test_what_one_end_frames_the_other_reads(sent: list[Message], close: Close, lengths: list[int], key: bytes) -> None:
    dialling = WebSocketCodec(Role.CLIENT, lambda: key)
    for source, sink in ((dialling, server()), (server(), client()), (FramedCodec(), FramedCodec())):
        data = b"".join(source.frame(message) for message in [*sent, close])
        assert read(sink, *chunks(data, lengths)) == [*sent, close]


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

"""However bytes are cut, a codec reads what another wrote. tests/fuzz has what relay and codec make of any bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.relay import PLAIN, FramedRelay
from medusa.protocol.websocket.codec import MessageCodec, Role, WebSocketCodec
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


class Whole(WebSocketCodec):
    """The codec without its short way for small messages."""

    __slots__ = ()
    _next_frame = MessageCodec._next_frame


def outcome(codec: WebSocketCodec, pieces: list[bytes]) -> list[object]:
    """What the codec makes of `pieces`: messages, and the error at the end."""
    found: list[object] = []
    for piece in pieces:
        codec.receive_data(piece)
        try:
            while (message := codec.next_message()) is not None:
                found.append((type(message), vars(message) | {"data": bytes(getattr(message, "data", b""))}))
        except RemoteProtocolError as error:
            found.append((type(error), str(error)))
    return found


@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from([0x82, 0x82, 0x82, 0x02, 0x80, 0x00, 0x81, 0x89, 0xC2, 0x92]),
            st.sampled_from([0, 1, 2, 50, 63, 64, 65, 124, 125, 0xFE, 0xFF, 0x85]),
        ),
        max_size=6,
    ),
    lengths=st.lists(st.integers(1, 70), max_size=20),
    limit=st.sampled_from([10, 64, 125, 126, 1 << 20]),
    parts_above=st.sampled_from([None, 0, 64, 65, 124, 125, 1 << 16]),
    role=st.sampled_from(Role),
)
def test_small_messages_are_read_by_the_short_way_as_by_the_other_one(
    frames: list[tuple[int, int]], lengths: list[int], limit: int, parts_above: int | None, role: Role
) -> None:
    data = b"".join(bytes([first, second]) + bytes(range(second % 128)) for first, second in frames)
    found = []
    for kind in (WebSocketCodec, Whole):
        codec = kind(role, lambda: bytes(4), limit)
        if parts_above is not None:
            codec.read_in_parts(parts_above)
        found.append(outcome(codec, chunks(data, lengths)))
    assert found[0] == found[1]

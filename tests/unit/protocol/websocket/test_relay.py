from __future__ import annotations

import pytest

from medusa.protocol.errors import BadFrame, BadText, MessageTooBig, PolicyViolation, RemoteProtocolError
from medusa.protocol.messages import MAX_MESSAGE, Kind, Ping
from medusa.protocol.relay import Relayed
from medusa.protocol.websocket import relay as relay_module
from medusa.protocol.websocket.relay import WEBSOCKET, WebSocketRelay
from tests.frames import BINARY, CLOSE, CONT, ILLEGAL, PING, TEXT, cut, frame, head, headers_of, relay_all, written

BIG = 200_000
FORGED = b'medusa:{"type":"linkup"}'


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with the fast path in C and without it."""
    if request.param == "in Python":
        monkeypatch.setattr(relay_module, "rewrite", None)
    elif relay_module.rewrite is None:
        pytest.skip("needs the fast path in C: a compiler, then make .venv/.test")


def said_nothing(result: Relayed) -> bool:
    """True if a relay has written, dropped and found nothing so far. It may hold unfinished input."""
    names = [name for name in dir(result) if not name.startswith("_") and name != "held"]
    return all(getattr(result, name) == getattr(Relayed(), name) for name in names)


def feed(relay: WebSocketRelay, data: bytes) -> Relayed:
    return relay.feed(data, WEBSOCKET)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 65537, BIG])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("key", [bytes(4), b"\x12\x34\x56\x78"], ids=bytes.hex)
def test_a_frame_leaves_as_one_frame_of_its_kind(size: int, kind: Kind, key: bytes) -> None:
    payload = (b"0123456789" * (size // 10 + 1))[:size]
    data = frame(kind, payload, key=key)
    for step in (len(data), 4096, 7):
        result = relay_all(WebSocketRelay(), *cut(data, step))
        assert written(result) == frame(kind, payload, key=None)
        assert (result.messages, result.size, result.error) == (1, size, None)


@pytest.mark.parametrize("kind", list(Kind))
def test_fragments_leave_as_one_frame(kind: Kind) -> None:
    pieces = [b"a" * 70_000, b"", b"b" * 10, b""]
    frames = [frame(CONT if at else kind, piece, fin=at == 3) for at, piece in enumerate(pieces)]
    data = frames[0] + frame(PING, b"1") + b"".join(frames[1:]) + frame(kind, b"next")
    for step in (len(data), 1000, 1):
        result = relay_all(WebSocketRelay(), *cut(data, step))
        assert written(result) == frame(kind, b"".join(pieces), key=None) + frame(kind, b"next", key=None)
        assert (result.messages, result.pings) == (2, [Ping(b"1")])


@pytest.mark.parametrize("size", [0, 5, 65535, BIG])
def test_payload_of_text_is_counted_apart(size: int) -> None:
    pieces = [frame(TEXT, b"t" * size), frame(BINARY, b"b" * size), frame(TEXT, b"t", fin=False), frame(CONT, b"uvw")]
    data = b"".join(pieces)
    for step in (len(data), 4096, 7):
        result = relay_all(WebSocketRelay(), *cut(data, step))
        assert (result.size, result.text) == (2 * size + 4, size + 4)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_large_frame_leaves_as_it_arrives(kind: Kind) -> None:
    relay, size = WebSocketRelay(), 16 << 20
    first = feed(relay, head(kind, size, key=bytes(4)) + b"1234567")
    assert written(first) == head(kind, size, key=None) + b"1234567"
    assert (first.boundary, relay.mid_frame, first.messages) == (0, True, 0)
    for _ in range(size // 65536 - 1):
        assert feed(relay, bytes(65536)).size == 65536
    last = feed(relay, bytes(65536 - 7) + frame(BINARY, b"x"))
    assert written(last)[-3:] == b"\x82\x01x"
    assert (last.messages, last.size, relay.mid_frame, last.boundary) == (2, 65536 - 7 + 1, False, None)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        *((data, error) for what, data, error in ILLEGAL if what != "continuation after the end"),  # of a legal message
        (head(CONT, BIG), BadFrame),
        (frame(BINARY, b"a", fin=False) + head(BINARY, BIG), BadFrame),
        (frame(CLOSE, b"\0\0"), BadFrame),
        (frame(BINARY, bytes(10), fin=False) + head(CONT, (1 << 24) - 9), MessageTooBig),
        (frame(TEXT, FORGED), PolicyViolation),
        (frame(TEXT, FORGED[:3], fin=False) + frame(CONT, FORGED[3:]), PolicyViolation),
        (frame(TEXT, fin=False) + frame(CONT, fin=False) + frame(CONT, FORGED), PolicyViolation),
        (head(TEXT, BIG, key=bytes(4)) + b"medusa:", PolicyViolation),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else value.__name__,
)
def test_nothing_of_an_illegal_frame_leaves(data: bytes, error: type[RemoteProtocolError]) -> None:
    good = frame(TEXT, b"good")
    for step in (len(good + data) + 6, len(good), 1):
        relay = WebSocketRelay()
        result = relay_all(relay, *cut(good + data + frame(BINARY, b"never"), step))
        assert type(result.error) is error
        assert written(result) == frame(TEXT, b"good", key=None)
        assert (result.messages, result.size) == (1, 4)
        assert not relay.mid_frame
        assert said_nothing(feed(relay, good))


def test_text_that_only_looks_forged_leaves() -> None:
    for payload in (b"medusa", b"Medusa:", b" medusa:", b"mlogin:medusa:", b"medusa;"):
        data = frame(TEXT, payload) + frame(BINARY, FORGED) + head(TEXT, BIG) + b""
        assert written(feed(WebSocketRelay(), data)).endswith(frame(BINARY, FORGED, key=None))


def test_large_text_is_held_until_it_shows_that_it_is_not_forged() -> None:
    relay = WebSocketRelay()
    for byte in head(TEXT, BIG, key=bytes(4)) + b"medusa":
        assert said_nothing(feed(relay, bytes((byte,))))
        assert not relay.mid_frame
    assert written(feed(relay, b";")) == head(TEXT, BIG, key=None) + b"medusa;"


def test_large_text_may_be_cut_inside_a_character() -> None:
    data = frame(TEXT, "é😀".encode() * 20_000)
    assert relay_all(WebSocketRelay(), *cut(data, 4099)).error is None


@pytest.mark.parametrize("at", [70_000, BIG - 1])
def test_a_large_text_that_turns_out_bad_leaves_the_other_side_inside_a_frame(at: int) -> None:
    payload = b"x" * at + b"\xc3" + b"x" * (BIG - at - 1)
    for step in (1000, BIG * 2):
        relay = WebSocketRelay()
        result = relay_all(relay, *cut(frame(TEXT, payload), step))
        assert isinstance(result.error, BadText)
        assert relay.mid_frame
        assert headers_of(written(result)) == [(True, TEXT, BIG)]


OLD_TEXT = frame(TEXT, "é".encode() * BIG)
OLD_PIECES = frame(TEXT, b"old", fin=False) + frame(PING, b"ping") + frame(CONT, b"old")
BEGUN = [
    ("nothing", b"", 0),
    ("one byte", frame(BINARY, b"old"), 1),
    ("a part of a small frame", frame(TEXT, b"old"), 8),
    ("a part of a large frame's header", frame(BINARY, bytes(BIG)), 9),
    ("a part of a large binary", frame(BINARY, bytes(BIG)), BIG),
    ("half a character of a large text", OLD_TEXT, 70_001),
    ("a part of a fragment", OLD_PIECES, 7),
    ("the first fragment", OLD_PIECES, 9),
    ("a part of a ping between fragments", OLD_PIECES, 12),
    ("an empty fragment", frame(TEXT, fin=False) + frame(CONT, b"old"), 6),
    ("a part of a ping", frame(PING, b"ping"), 3),
]


@pytest.mark.parametrize(("old", "at"), [x[1:] for x in BEGUN], ids=[x[0] for x in BEGUN])
@pytest.mark.parametrize(
    "new",
    [frame(BINARY, b"\xff" * BIG), frame(TEXT, b"new"), frame(BINARY, b"\xff", fin=False) + frame(CONT)],
    ids=["large", "small", "fragments"],
)
@pytest.mark.parametrize("step", [BIG * 3, 1000])
def test_skipping_drops_the_message_that_has_begun_and_no_other(old: bytes, at: int, new: bytes, step: int) -> None:
    relay = WebSocketRelay()
    feed(relay, old[:at])
    relay.skip_message()
    assert not relay.mid_frame
    result = relay_all(relay, *cut(old[at:] + new + frame(TEXT, b"last"), step))
    expected = relay_all(WebSocketRelay(), new + frame(TEXT, b"last"))
    assert result.error is None
    assert written(result) == written(expected)
    assert (result.messages, result.size) == (2, expected.size)
    assert result.pings == relay_all(WebSocketRelay(), old).pings


def test_nothing_is_held_of_what_is_skipped() -> None:
    relay = WebSocketRelay()
    feed(relay, frame(TEXT, b"x" * 10, fin=False))
    relay.skip_message()
    feed(relay, frame(CONT, bytes(BIG), fin=False))
    assert not relay._fragments._data
    limit = feed(relay, frame(CONT, bytes(MAX_MESSAGE - BIG), fin=False))
    assert type(limit.error) is MessageTooBig, "what is dropped counts"


def test_a_limit_below_the_size_that_is_streamed() -> None:
    for size, error in ((99, type(None)), (100, type(None)), (101, MessageTooBig)):
        result = feed(WebSocketRelay(max_message=100), frame(BINARY, bytes(size)))
        assert type(result.error) is error


def test_the_boundary_is_where_the_last_large_frame_begins() -> None:
    relay = WebSocketRelay()
    data = frame(TEXT, b"small") + frame(BINARY, bytes(BIG))
    assert feed(relay, data[:5000]).boundary == len(frame(TEXT, b"small", key=None))
    assert feed(relay, data[5000:6000]).boundary is None
    last = feed(relay, data[6000:] + data[11:5000])
    assert written(last)[last.boundary or 0 :].startswith(head(BINARY, BIG, key=None))


def test_work_grows_with_the_bytes_alone() -> None:
    """Work that grew with their square would take longer than the timeout of a test."""
    payload = bytes(range(256)) * 16384
    pieces = [frame(CONT if at else BINARY, payload[at : at + 64], fin=False) for at in range(0, len(payload), 64)]
    result = relay_all(WebSocketRelay(), b"".join(pieces) + frame(CONT))
    assert written(result) == frame(BINARY, payload, key=None)
    assert relay_all(WebSocketRelay(), *cut(frame(BINARY, payload[:65536]), 1)).messages == 1
    assert relay_all(WebSocketRelay(), *cut(frame(BINARY, payload[:65537]), 1)).messages == 1
    assert len(feed(WebSocketRelay(), frame(PING) * 20_000).pings) == 20_000
    assert relay_all(WebSocketRelay(), frame(TEXT, b"x") * 100_000).messages == 100_000


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("step", [1000, 7, 1])
def test_a_lower_limit_for_what_is_held_gives_the_same_messages(kind: Kind, step: int) -> None:
    data = b"".join(frame(kind, b"a" * size) for size in (10, 3000, 5000, 200, 20_000)) + frame(PING, b"p")
    relay, whole = WebSocketRelay(), Relayed()
    for at, chunk in enumerate(cut(data, step)):
        relay.stream_above(100 if at % 3 else 4000)
        result = feed(relay, chunk)
        assert result.held <= 4000 + 14
        whole.pieces += [bytes(piece) for piece in result.pieces]
        whole.messages += result.messages
    expected = relay_all(WebSocketRelay(), data)
    assert (written(whole), whole.messages) == (written(expected), 5)


def test_what_is_held_is_told() -> None:
    relay = WebSocketRelay()
    begun = frame(BINARY, bytes(5000))
    steps = [
        (frame(BINARY, bytes(5000)), 0),
        (begun[:1], 2),
        (begun[1:10], len(begun)),
        (begun[10:20], len(begun)),
        (begun[20:], 0),
        (frame(TEXT, b"x" * 300, fin=False), 300),
        (frame(PING, b"p"), 300),
        (frame(CONT, bytes(70_000), fin=False)[:1014], 300 + 1000),
        (bytes(1000), 300 + 2000),
    ]
    assert [feed(relay, data).held for data, _ in steps] == [held for _, held in steps]
    relay.stop()
    assert (feed(relay, bytes(100)).held, relay.held) == (0, 0)


def test_the_unfinished_message_is_the_same_one_until_it_ends() -> None:
    relay = WebSocketRelay()
    seen: list[tuple[int, int] | None] = []
    for data in (
        frame(BINARY, b"whole") + frame(BINARY, b"x", fin=False),
        frame(PING, b"p") + frame(CONT, b"yz", fin=False),
        frame(CONT, b"."),
        frame(BINARY, bytes(BIG))[:-100],
        bytes(40),
        bytes(60),
        frame(TEXT, b"abc")[:-1],
        b"",
    ):
        feed(relay, data)
        seen.append(relay.unfinished)
    assert [number for number, _ in filter(None, seen)] == [1, 1, 2, 2, 3, 3]
    assert [arrived for _, arrived in filter(None, seen)] == [1, 3, -100, -60, 8, 8]
    assert [bool(message) for message in seen] == [True, True, False, True, True, False, True, True]


def test_an_unfinished_ping_is_not_the_next_one() -> None:
    relay, ping = WebSocketRelay(), frame(PING, b"p")
    feed(relay, ping[:-1])
    first = relay.unfinished
    feed(relay, ping[-1:] + ping[:-1])
    assert first is not None
    assert relay.unfinished is not None
    assert first.number != relay.unfinished.number

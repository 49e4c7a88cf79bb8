"""The rules of offsets and windows, each as a function of the code under test, so that changed code can be tested too.

Each of RULES raises an exception if the code breaks it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest

from tests.streams import AGENT, CLIENT, Code, World

KIB = 1024
NOISE = random.Random(2).randbytes(1 << 17)
PLENTY = (65518, 1 << 22, 1 << 22)
RULES: list[Callable[[Code], None]] = []


def rule(function: Callable[[Code], None]) -> Callable[[Code], None]:
    RULES.append(function)
    return function


def record(kind: int, offset: int, data: bytes = b"") -> bytes:
    return struct.pack("!BQ", kind, offset) + data


def frame(kind: int, sub: int, channel: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BBHI", kind, sub, len(payload), channel) + payload


def cut_frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Type, sub, channel and payload of each frame in `data`."""
    found, at = [], 0
    while at < len(data):
        kind, sub, length, channel = struct.unpack_from("!BBHI", data, at)
        found.append((kind, sub, channel, data[at + 8 : at + 8 + length]))
        at += 8 + length
    assert at == len(data)
    return found


def taken(channels: Any, *sizes: int) -> list[tuple[int, int, int, bytes]]:
    """The next frames of an end."""
    return cut_frames(b"".join(channels.take(*(sizes or PLENTY))))


def linked(code: Code) -> Any:
    stream = code.stream.Stream()
    assert stream.link_up(0)
    return stream


def sends(stream: Any, *pieces: bytes, now: float = 0.0) -> bytes | None:
    message: bytes | None = stream.next_message(lambda *room: list(pieces), now)
    return message


def fails(code: str, function: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:
        function()
    assert getattr(caught.value, "code", "") == code


def session(code: Code, kind: str = "session", **parameters: object) -> tuple[Any, Any, Any, Any]:
    """Two ends, and both ends of one channel that was accepted: a client's, an agent's."""
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    agent = code.multiplexer.Channels(code.kinds.Role.AGENT)
    mine = client.open(kind, **parameters)
    (offer,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    offer.channel.accept()
    client.receive(b"".join(agent.take(*PLENTY)), 0.0)
    agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    return client, agent, mine, offer.channel


# ---------------------------------------------------------------------- records


@rule
def records_have_offsets(code: Code) -> None:
    stream = linked(code)
    assert sends(stream, b"ab", b"c") == record(1, 0, b"abc")
    assert sends(stream, b"d") == record(1, 3, b"d")
    stream.receive(record(1, 0, b"xyz"), 0.0)
    assert sends(stream, b"e") == record(2, 3) + record(1, 4, b"e")
    assert sends(stream, b"f") == record(1, 5, b"f")


@rule
def a_message_is_as_long_as_it_may_be(code: Code) -> None:
    sizes = []

    def source(limit: int, data: int, total: int) -> list[bytes]:
        sizes.append((limit, data, total))
        return [bytes(limit)]

    stream = linked(code)
    stream.receive(record(1, 0, b"x"), 0.0)
    first = stream.next_message(source, 0.0)
    assert len(first) == 65536
    second = stream.next_message(source, 0.0)
    assert len(second) == 65536 - 9
    mib = KIB * KIB
    assert sizes == [(65518, 4 * mib, 4 * mib + 256 * KIB), (65518, 4 * mib - 65518, 4 * mib + 256 * KIB - 65518)]


@rule
def what_arrives_twice_is_cut(code: Code) -> None:
    stream = linked(code)
    assert stream.receive(record(1, 0, b"abcde"), 0.0) == b"abcde"
    assert stream.receive(record(1, 0, b"abc"), 0.0) == b""
    assert stream.receive(record(1, 0, b"abcde"), 0.0) == b""
    assert stream.receive(record(1, 3, b"defg"), 0.0) == b"fg"
    assert stream.receive(record(1, 7, b"h"), 0.0) == b"h"
    assert stream.received == 8
    fails("gap", lambda: stream.receive(record(1, 9, b"j"), 0.0))


@rule
def acknowledgements_come_in_time(code: Code) -> None:
    stream = linked(code)
    assert sends(stream, now=9.0) is None
    stream.receive(record(1, 0, b"a"), 10.0)
    assert stream.deadline() == 10.0  # the first data of a link
    assert sends(stream, now=10.0) == record(2, 1)
    assert stream.deadline() is None
    assert sends(stream, now=99.0) is None
    stream.receive(record(1, 1, b"b"), 100.0)
    stream.receive(record(1, 2, b"c"), 100.03)
    assert stream.deadline() == 100.05
    assert sends(stream, now=100.04) is None
    assert sends(stream, now=100.05) == record(2, 3)
    stream.receive(record(1, 3, bytes(65_000)), 101.0)
    stream.receive(record(1, 65_003, bytes(535)), 101.0)
    assert sends(stream, now=101.0) is None
    stream.receive(record(1, 65_538, b"z"), 101.0)
    assert sends(stream, now=101.0) == record(2, 65_539)
    stream.receive(record(1, 65_538, b"z"), 102.0)
    assert stream.deadline() is None


@rule
def acknowledgements_are_within_what_was_sent(code: Code) -> None:
    stream = linked(code)
    sends(stream, b"abc")
    stream.receive(record(2, 2), 0.0)
    assert (stream.acknowledged, stream.kept) == (2, 1)
    stream.receive(record(2, 1), 0.0)
    assert (stream.acknowledged, stream.kept) == (2, 1)
    stream.receive(record(2, 3), 0.0)
    assert (stream.acknowledged, stream.kept) == (3, 0)
    fails("ack-ahead", lambda: stream.receive(record(2, 4), 0.0))


@rule
def a_new_link_gets_what_the_peer_lacks(code: Code) -> None:
    stream = linked(code)
    sent = NOISE[:100_000]
    for at in range(0, len(sent), 10_000):
        sends(stream, sent[at : at + 10_000])
    stream.receive(record(2, 20_005), 0.0)
    stream.link_down()
    assert sends(stream, b"x") is None
    assert not stream.link_up(20_004)
    assert not stream.link_up(100_001)
    for received in (20_005, 20_006, 39_999, 40_000, 99_999, 100_000):
        assert stream.link_up(received)
        at = received
        while at < len(sent):
            message = sends(stream, b"never yet")
            assert message is not None
            assert len(message) <= 65536
            assert message == record(1, at, sent[at : at + len(message) - 9])
            at += len(message) - 9
        assert stream.kept == len(sent) - received
        stream.link_down()
    assert stream.link_up(100_000)
    assert sends(stream, b"new") == record(1, 100_000, b"new")


@rule
def an_acknowledgement_may_pass_a_replay(code: Code) -> None:
    stream = linked(code)
    sends(stream, bytes(60_000))
    sends(stream, bytes(60_000))
    stream.link_down()
    assert stream.link_up(0)
    first = sends(stream)
    assert first is not None
    stream.receive(record(2, 110_000), 0.0)
    assert sends(stream) == record(1, 110_000, bytes(10_000))
    assert sends(stream) is None


@rule
def a_round_trip_is_the_least_of_ten_seconds(code: Code) -> None:
    stream = linked(code)
    assert stream.round_trip.get() == 0.0
    for at, seconds in ((1.0, 0.5), (2.0, 0.25), (3.0, 0.375)):
        sends(stream, b"x", now=at)
        sends(stream, b"y", now=at + 0.125)
        stream.receive(record(2, stream.sent - 1), at + seconds)
        stream.receive(record(2, stream.sent), at + 10 * seconds)
    assert stream.round_trip.get() == 0.25
    sends(stream, b"xx", now=12.0)
    stream.receive(record(2, stream.sent - 1), 12.1)
    stream.receive(record(2, stream.sent), 12.5)
    assert stream.round_trip.get() == 0.375
    sends(stream, b"x", now=13.0)
    stream.link_down()
    stream.link_up(stream.sent)
    assert stream.round_trip.get() == 0.375


@rule
def what_is_kept_is_bounded(code: Code) -> None:
    world = World(code)
    channel = world.open("tcp", host="h", port=1)
    world.settle()
    client = world.ends[CLIENT]
    channel.writers[0].limit = 1 << 30  # a peer that would take anything, and acknowledges nothing

    def flood() -> None:
        while channel.write(0, NOISE[: channel.room(0)]) or world.send(CLIENT):
            pass

    flood()
    limit = code.stream.MAX_KEPT
    assert limit - 2000 < client.stream.kept <= limit
    assert channel.room(0) < 64 * KIB
    kept = client.stream.kept
    channel.request("signal", name="INT")
    assert world.send(CLIENT) == 1
    assert kept < client.stream.kept < kept + 100
    client.stream.receive(record(2, client.stream.acknowledged + 100_000), 0.0)
    flood()
    assert limit - 2000 < client.stream.kept <= limit


# ---------------------------------------------------------------------- windows


@rule
def a_window_can_be_filled_and_not_exceeded(code: Code) -> None:
    for size, wrong in ((64 * KIB, ""), (64 * KIB + 1, "window-overrun")):
        client, _, mine, _ = session(code, command="x")
        data = bytes(size)
        events: list[Any] = []
        for at in range(0, size, 30_000):
            events += client.receive(frame(4, 1, 1, data[at : at + 30_000]), 0.0)
        ends = [event.value.code for event in events if event.type == 11]
        assert ends == ([wrong] if wrong else [])
        if not wrong:
            assert (len(mine.readers[1]), mine.readers[1].limit) == (size, size)


@rule
def a_limit_is_sent_when_a_quarter_is_to_be_given(code: Code) -> None:
    client, agent, mine, peer = session(code, "tcp", host="h", port=1)
    assert peer.room(0) == 64 * KIB
    peer.write(0, bytes(64 * KIB))
    assert peer.room(0) == 0
    for _ in range(2):
        client.receive(b"".join(agent.take(*PLENTY)), 0.0)
    reader = mine.readers[0]
    reader.read(9 * KIB, 0.0)  # the window is 73 KiB now; 18 KiB may be given, its quarter is 18.25
    assert taken(client) == []
    assert reader.limit == 64 * KIB
    reader.read(512, 0.0)
    assert taken(client) == [(7, 0, 1, struct.pack("!Q", 83 * KIB))]
    reader.read(64 * KIB, 0.0)
    size = 64 * KIB + 64 * KIB
    assert taken(client) == [(7, 0, 1, struct.pack("!Q", 64 * KIB + size))]


@rule
def a_window_grows_and_shrinks_with_what_is_spare(code: Code) -> None:
    limits, kinds = code.limits, code.kinds
    client = code.multiplexer.Channels(kinds.Role.CLIENT)
    first, second = (opened(client, "tcp", host="h", port=1).readers[0] for _ in range(2))
    spare = limits.MAX_WINDOWS - limits.MIN_WINDOW * (limits.MAX_CHANNELS - 2)
    assert first.limit == second.limit == 64 * KIB
    for _ in range(100):
        fill(client, first)
    assert first.limit - first.taken == spare - 64 * KIB
    before = second.limit
    fill(client, second)
    assert second.limit - before == 64 * KIB  # nothing is to spare
    fill(client, first)
    assert first.limit - first.taken < spare - 64 * KIB
    fill(client, second)
    assert second.limit - second.taken > 64 * KIB
    assert client._windows.budget.used <= spare


def opened(channels: Any, kind: str, **parameters: object) -> Any:
    """A channel that the peer has accepted."""
    channel = channels.open(kind, **parameters)
    channels.receive(frame(2, 0, channel.number, b"{}"), 0.0)
    return channel


def fill(channels: Any, reader: Any, now: float = 0.0, part: int = 1) -> int:
    """Lets a part of what `reader` allows arrive, and takes it. Returns the size."""
    sub, channel = reader._key
    size = rest = (reader.limit - reader.received) // part
    while rest:
        length = min(rest, 32 * KIB)
        assert channels.receive(frame(4, sub, channel, bytes(length)), now)[0].type == 4
        rest -= length
    assert len(reader) == size
    reader.took(size, now)
    return int(size)


@rule
def all_channels_get_a_window(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    sizes = [opened(client, "tcp", host="h", port=1).readers[0].limit for _ in range(256)]
    assert sizes[:18] == [64 * KIB] * 18
    assert sizes[19:] == [8 * KIB] * 237
    assert 2 << 20 < sum(sizes) <= 3 << 20
    assert client._windows.budget.used == sum(sizes)
    fails("", lambda: client.open("tcp", host="h", port=1))
    for number in range(1, 512, 2):
        client.receive(frame(10, 0, number), 0.0)
    assert client._windows.budget.used == 0
    assert opened(client, "tcp", host="h", port=1).readers[0].limit == 64 * KIB


@rule
def a_terminals_window_is_what_its_reader_takes(code: Code) -> None:
    trip = 0.05
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT, lambda: trip)
    reader = opened(client, "session", pty={"columns": 80, "lines": 25}).readers[1]
    assert reader.limit == 32 * KIB
    now = 5.0
    for _ in range(50):  # 10 KiB each 20 ms: 80 KiB in 150 ms
        now += 0.02
        client.receive(frame(4, 1, 1, bytes(min(10 * KIB, reader.limit - reader.received))), now)
        reader.took(len(reader), now)
    assert 60 * KIB < reader._window.size <= 80 * KIB
    assert reader.limit - reader.taken <= 80 * KIB
    client.receive(frame(4, 1, 1, b"x"), now + 9)
    reader.took(1, now + 9)
    assert reader._window.size == 16 * KIB
    before = reader.limit
    while reader.received < before:
        client.receive(frame(4, 1, 1, bytes(min(KIB, before - reader.received))), now + 9)
    reader.took(len(reader), now + 20)
    assert reader.limit > before


# ---------------------------------------------------------------------- turns


@rule
def channels_take_turns(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    for _ in range(3):
        channel = opened(client, "tcp", host="h", port=1)
        channel.writers[0].limit = 1 << 20
    taken(client)
    first, second, third = client._channels.values()
    first.write(0, bytes(60_000))
    second.write(0, bytes(60_000))
    assert third.room(0) == 64 * KIB
    third.write(0, b"key")
    frames = taken(client)
    assert [(frame[2], len(frame[3])) for frame in frames[:3]] == [(1, 16_376), (3, 16_376), (5, 3)]
    assert [frame[2] for frame in frames[3:]] == [1, 3]
    assert sum(8 + len(frame[3]) for frame in frames) <= 65518
    rest = taken(client)
    assert sum(len(frame[3]) for frame in frames + rest) == 120_003
    assert taken(client) == []
    assert client._outbox.data == 0


@rule
def what_waits_in_this_process_is_bounded(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    channels = [opened(client, "tcp", host="h", port=1) for _ in range(6)]
    for channel in channels:
        channel.writers[0].limit = 1 << 20
    for channel in channels:
        channel.write(0, bytes(channel.room(0)))
        assert channel.room(0) == 0
    assert client._outbox.data == 256 * KIB + 2 * KIB
    taken(client)  # the control frames and some data
    taken(client)
    assert client._outbox.data < 256 * KIB
    assert channels[5].room(0) > 32 * KIB
    fails("", lambda: channels[5].write(0, bytes(channels[5].room(0) + 1)))


@rule
def nothing_passes_where_nothing_may(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    channel = opened(client, "tcp", host="h", port=1)
    taken(client)
    channel.writers[0].limit = 1 << 20
    channel.write(0, bytes(10_000))
    assert taken(client, 65518, 1031, 1 << 20) == []  # no frames of a few bytes
    assert [len(frame[3]) for frame in taken(client, 65518, 1032, 1 << 20)] == [1024]
    channel.end(0)
    assert taken(client, 65518, 0, 1 << 20) == []
    assert [len(frame[3]) for frame in taken(client, 65518, 8984, 1 << 20)] == [8976, 40]
    channel = opened(client, "tcp", host="h", port=1)
    assert len(taken(client)) == 2
    channel.writers[0].limit = 1 << 20
    channel.write(0, bytes(10_000))
    channel.request("detach")
    assert taken(client, 65518, -262_140, 4) == []
    assert [frame[0] for frame in taken(client, 65518, 1040, 2000)] == [8]
    assert [len(frame[3]) for frame in taken(client, 65518, 1040, 2000)] == [1032]


@rule
def control_frames_are_bounded(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    channel = opened(client, "tcp", host="h", port=1)
    text = "x" * 10_000
    for _ in range(60):
        channel.request("signal", name=text)
        assert len(taken(client)) in (1, 3)
    taken(client, 65518, -30 * KIB, 1)
    for _ in range(23):
        channel.request("signal", name=text)
    fails("overflow", lambda: channel.request("signal", name=text))
    assert [frame[0] for frame in taken(client)] == [11]
    assert taken(client) == []


@rule
def frames_may_be_cut_anywhere(code: Code) -> None:
    client, _, mine, _ = session(code, "tcp", host="h", port=1)
    data = frame(4, 0, 1, b"abcdefgh") + frame(8, 0, 1, b'{"type":"detach"}') + frame(4, 0, 1, b"ijk")
    for size in range(1, len(data) + 1):
        events = []
        for at in range(0, len(data), size):
            events += client.receive(data[at : at + size], 0.0)
        assert mine.readers[0].read(100, 0.0) == b"abcdefghijk"
        assert [event.type for event in events if event.type != 4] == [8]


@rule
def a_queue_of_bytes_keeps_nothing_that_was_dropped(code: Code) -> None:
    queue = code.byte_queue.ByteQueue()
    chance = random.Random(3)
    kept = b""
    for _ in range(300):
        data = NOISE[: chance.choice((0, 1, 100, 4000, 4096, 4097, 60_000))]
        queue.append(data)
        kept += data
        size = chance.choice((0, min(len(kept), 5000), len(kept)))
        skip = min(chance.choice((0, 1, 5000)), len(kept))
        limit = chance.choice((0, 1, 65_000))
        assert b"".join(queue.views(skip, limit)) == kept[skip : skip + limit]
        queue.drop(size)
        kept = kept[size:]
        assert len(queue) == len(kept)
        assert sum(map(len, queue._pieces)) < len(kept) + 60_000
    queue.drop(len(kept))
    assert not queue._pieces


@rule
def random_walks_arrive(code: Code) -> None:
    for seed in range(3):
        world = World(code)
        chance = random.Random(seed)
        channels = [world.open("session", command="x"), world.open("session", pty={"columns": 80, "lines": 25})]
        for step in range(40):
            for channel in channels:
                world.write(CLIENT, channel.number, 0, NOISE[: chance.choice((1, 3000, 40_000))])
                for sub in (1, 2):
                    if channel.number in world.ends[AGENT].open and sub in channel.readers:
                        world.write(AGENT, channel.number, sub, NOISE[step : chance.choice((step, 99, 65_000))])
            for end in (CLIENT, AGENT):
                world.send(end, chance.choice((0, 1, 1000)))
                world.deliver(end, chance.choice((0, 1, 1000)))
            for key in list(world.readers):
                world.take(*key, chance.choice((0, 100, 65_536)))
            if step % 7 == 3:
                world.cut((chance.randrange(3), chance.randrange(3)))
            world.now += chance.choice((0.0, 0.06))
            world.check()
        world.finish()

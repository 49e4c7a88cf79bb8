"""The rules of turns, of what may wait, and of frames that are cut; and walks in which all rules meet."""

from __future__ import annotations

import random

from tests.streams.rule import rule
from tests.streams.wire import KIB, NOISE, fails, frame, opened, session, taken
from tests.streams.world import AGENT, CLIENT, Code, World


@rule
def channels_take_turns(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    for _ in range(3):
        channel = opened(client, "tcp", host="h", port=1)
        channel.writers[0].limit = 1 << 20
    taken(client)
    first, second, third = client._table.channels.values()
    first.write(0, bytes(60_000))
    second.write(0, bytes(60_000))
    assert third.room(0) == 256 * KIB - 512
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
    assert {channel.room(0) for channel in channels} == {4 * (256 * KIB - 512)}
    channels[0].write(0, bytes(256 * KIB))
    assert channels[0].room(0) == 768 * KIB - 2 * KIB
    for channel in channels:
        channel.write(0, bytes(min(256 * KIB - 512, channel.room(0))))
    assert [channel.room(0) for channel in channels] == [0] * 6
    assert client._outbox.data == 256 * KIB + 3 * (256 * KIB - 512) + 3 * KIB
    for _ in range(8):
        taken(client)  # the control frames and some data
    assert client._outbox.data < 768 * KIB
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
        assert queue.read(skip, limit) == kept[skip : skip + limit]
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

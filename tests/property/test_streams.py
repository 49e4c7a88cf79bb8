"""However a stream is cut, lost and begun again, and in whatever order it is read: the same bytes arrive, once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from medusa.protocol.channels.frames import DATA, GOAWAY
from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.multiplexer import Channels
from tests.streams.wire import frame
from tests.streams.world import AGENT, CLIENT, World, changed

NOISE = random.Random(1).randbytes(1 << 18)
KINDS: list[tuple[str, dict[str, object]]] = [
    ("session", {"command": "x"}),
    ("session", {"pty": {"columns": 80, "lines": 25}}),
    ("tcp", {"host": "h", "port": 1}),
]
SIZES = st.sampled_from([1, 2, 7, 100, 1023, 1024, 4096, 5000, 16384, 65536])
FEW = st.sampled_from([1, 2, 3, 1000])


class Streams(RuleBasedStateMachine):
    """Two ends, on which anything may happen in any order."""

    channels = Bundle("channels")

    @initialize(lazy=st.booleans())
    def begin(self, lazy: bool) -> None:
        self.world = World()
        self.world.lazy = lazy

    @rule(target=channels, kind=st.sampled_from(KINDS))
    def open(self, kind: tuple[str, dict[str, object]]) -> int:
        number: int = self.world.open(kind[0], **kind[1]).number
        return number

    @rule(channel=channels)
    def accept(self, channel: int) -> None:
        found = self.world.ends[AGENT].open.get(channel)
        if found is not None:
            found.accept()

    @rule(channel=channels, sub=st.integers(0, 2), end=st.integers(0, 1), size=SIZES, start=st.integers(0, 1 << 17))
    def write(self, channel: int, sub: int, end: int, size: int, start: int) -> None:
        found = self.world.ends[end].open.get(channel)
        if found is not None and sub in found.writers:
            self.world.write(end, channel, sub, NOISE[start : start + size])

    @rule(channel=channels, sub=st.integers(0, 2), end=st.integers(0, 1), size=SIZES)
    def read(self, channel: int, sub: int, end: int, size: int) -> None:
        if (end, channel, sub) in self.world.readers:
            self.world.take(end, channel, sub, size)

    @rule(channel=channels, sub=st.integers(0, 2), end=st.integers(0, 1))
    def end(self, channel: int, sub: int, end: int) -> None:
        found = self.world.ends[end].open.get(channel)
        if found is not None and sub in found.writers:
            found.end(sub)

    @rule(channel=channels, sub=st.integers(0, 2), end=st.integers(0, 1))
    def stop(self, channel: int, sub: int, end: int) -> None:
        found = self.world.readers.get((end, channel, sub))
        if found is not None:
            found.stop()

    @rule(channel=channels, end=st.integers(0, 1), at_once=st.booleans())
    def close(self, channel: int, end: int, at_once: bool) -> None:
        found = self.world.ends[end].open.get(channel)
        if found is not None:
            found.close(at_once=at_once)

    @rule(end=st.integers(0, 1), most=FEW)
    def send(self, end: int, most: int) -> None:
        self.world.send(end, most)

    @rule(end=st.integers(0, 1), most=FEW)
    def deliver(self, end: int, most: int) -> None:
        self.world.deliver(end, most)

    @rule(lost=st.tuples(FEW, FEW))
    def cut(self, lost: tuple[int, int]) -> None:
        self.world.cut(lost)

    @rule(seconds=st.sampled_from([0.001, 0.05, 1.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.settle()


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32), kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
def test_everything_arrives_once_and_in_order(seed: int, kinds: list[tuple[str, dict[str, object]]]) -> None:
    walk(World(), random.Random(seed), kinds, steps=60)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("resume.stream", "MAX_KEPT = 3 * 1024 * 1024", "MAX_KEPT = 20_000"),
        ("resume.records", "MAX_MESSAGE = 1024 * 1024", "MAX_MESSAGE = 3000"),
        ("channels.limits", "MAX_QUEUED = 256 * 1024 - 512", "MAX_QUEUED = 12_000"),
        ("channels.limits", "MAX_WINDOWS = 10 * 1024 * 1024", "MAX_WINDOWS = 80_000"),
        ("channels.limits", "LEAST_PART = 1024", "LEAST_PART = 1"),
    ],
)
def test_smaller_limits_change_no_byte(module: str, old: str, new: str, seed: int) -> None:
    with changed(f"medusa.protocol.{module}", old, new) as code:
        walk(World(code), random.Random(seed), KINDS, steps=60)


def walk(world: World, chance: random.Random, kinds: list[tuple[str, dict[str, object]]], steps: int) -> None:
    """Writes, reads, sends and cuts at random, and then checks that everything has arrived."""
    for kind, parameters in kinds:
        world.open(kind, **parameters)
    for _ in range(steps):
        for end in (CLIENT, AGENT):
            for number, channel in list(world.ends[end].open.items()):
                for sub in channel.writers:
                    start = chance.randrange(1 << 17)
                    world.write(end, number, sub, NOISE[start : start + chance.choice((0, 1, 1000, 5000, 65536))])
        for end in chance.sample((CLIENT, AGENT), 2):
            world.send(end, chance.choice((0, 1, 3, 1000)))
            world.deliver(1 - end, chance.choice((0, 1, 3, 1000)))
        for key in list(world.readers):
            world.take(*key, chance.choice((0, 1, 1000, 65536)))
        if chance.random() < 0.1:
            world.cut((chance.randrange(3), chance.randrange(3)))
        world.now += chance.choice((0.0, 0.02, 0.06))
        world.check()
    world.finish()


PAYLOADS = st.one_of(
    st.sampled_from([b"", b"{}", b"[]", b'{"kind":"session"}', b'{"kind":"tcp","host":"h","port":1}']),
    st.sampled_from([b'{"type":"detach"}', b'{"status":0}', bytes(8), bytes(7) + b"\1", bytes(40)]),
    st.binary(max_size=40),
)
FRAMES = st.builds(frame, st.integers(0, 12), st.integers(0, 3), st.integers(0, 6), PAYLOADS)


@settings(max_examples=150, deadline=None)
@given(sent=st.lists(FRAMES, max_size=12), noise=st.binary(max_size=20), role=st.sampled_from(Role))
def test_whatever_comes_is_an_event_or_the_end(sent: list[bytes], noise: bytes, role: Role) -> None:
    data = b"".join(sent) + noise
    found = []
    for size in (1, 7, len(data) + 1):
        end = Channels(role)
        if role is Role.CLIENT:
            end.open("session")
        events = [event for at in range(0, len(data), size) for event in end.receive(data[at : at + size], 0.0)]
        assert [event.type for event in events].count(GOAWAY) == end.over
        found.append([(event.type, event.sub, event.value) for event in events if event.type != DATA])
        end.expire(30.0)
        assert len(b"".join(end.take(65518, 1 << 22, 1 << 22))) < 3000
    assert found[0] == found[1] == found[2]


@given(lengths=st.lists(st.integers(1, 3000), max_size=30))
def test_frames_may_be_cut_anywhere(lengths: list[int]) -> None:
    world = World()
    channel = world.open("session", command="x")
    channel.request("signal", name="INT")
    start = b"".join(world.ends[CLIENT].channels.take(65518, 1 << 22, 1 << 22))
    agent = Channels(Role.AGENT)
    opened = agent.receive(start, 0.0)
    peer = opened[0].channel
    peer.accept()
    world.ends[CLIENT].channels.receive(b"".join(agent.take(65518, 1 << 22, 1 << 22)), 0.0)
    channel.write(0, NOISE[:20000])
    channel.request("resize", columns=1, lines=2)
    channel.end(0)
    data = b"".join(world.ends[CLIENT].channels.take(65518, 1 << 22, 1 << 22))
    reader, events, at = peer.readers[0], [], 0
    for length in [*lengths, len(data)]:
        events += agent.receive(data[at : at + length], 0.0)
        at += length
    assert [event.type for event in events if event.type != DATA] == [8, 5]
    assert reader.complete
    assert reader.read(1 << 20, 0.0) == NOISE[:20000]

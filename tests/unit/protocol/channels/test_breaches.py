"""A peer that breaks a rule is told which one, so is the user of this end, and nothing grows."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from medusa.protocol.channels.channel import State
from medusa.protocol.channels.frames import CLOSE, DATA, EOF, GOAWAY, OPENED, REFUSED
from medusa.protocol.errors import StreamError
from tests.streams.breaches import CHANNELS, FLOOD, RECORDS, STREAMS
from tests.streams.wire import PLENTY, cut_frames, frame, linked, opened, session, taken
from tests.streams.world import Code

MIB = 1 << 20
CODE = Code()


def name(value: object) -> str:
    """A short id of a test's parameter."""
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("code", "message"), RECORDS, ids=name)
def test_a_bad_message(code: str, message: bytes) -> None:
    stream = linked(CODE)
    with pytest.raises(StreamError) as caught:
        stream.receive(message, 0.0)
    assert caught.value.code == code
    assert (stream.received, stream.acknowledged) == (0, 0)


@pytest.mark.parametrize("pieces", [1, 200])
@pytest.mark.parametrize(("code", "victim", "sent"), STREAMS, ids=name)
def test_a_breach_that_ends_the_stream(code: str, victim: str, sent: bytes, pieces: int) -> None:
    cut = len(sent) // pieces + 1
    client, agent, mine, other = session(CODE, command="x")
    end, peer, channel = (client, agent, mine) if victim == "client" else (agent, client, other)
    events = [event for at in range(0, len(sent), cut) for event in end.receive(sent[at : at + cut], 0.0)]
    last = events[-1]
    assert (last.type, last.value.code) == (GOAWAY, code)
    assert last.value.words
    assert [event.type for event in events].count(GOAWAY) == 1
    assert channel.state is State.CLOSED
    assert not end._table.channels
    assert not end._partial
    assert end.receive(frame(DATA, 0, 1, b"x"), 0.0) == []
    (told,) = peer.receive(b"".join(end.take(*PLENTY)), 0.0)
    assert (told.type, told.value) == (GOAWAY, last.value)
    assert end.take(*PLENTY) == peer.take(*PLENTY) == []
    with pytest.raises(CODE.table.TooManyChannels):
        end.open("tcp", host="h", port=1)


@pytest.mark.parametrize(("code", "victim", "answer", "sent"), CHANNELS, ids=name)
def test_a_breach_that_ends_a_channel(code: str, victim: str, answer: int, sent: bytes) -> None:
    client, agent, mine, other = session(CODE, command="x")
    end, channel = (client, mine) if victim == "client" else (agent, other)
    events = end.receive(sent, 0.0)
    end.expire(30.0)
    found = [(number, json.loads(payload)["code"]) for kind, _, number, payload in taken(end) if kind == answer]
    assert found[0][1] == code
    assert {told for _, told in found} <= {code, "timeout"}
    assert not end.over
    if answer == CLOSE:
        assert (events[-1].type, events[-1].channel, events[-1].value.code) == (CLOSE, channel, code)
        assert end.receive(frame(CLOSE, 0, 1), 0.0) == []
    else:
        assert channel.state is State.OPEN
        end.receive(b"".join(frame(CLOSE, 0, number) for number, _ in found), 0.0)
    assert not end.over


@pytest.mark.parametrize("sent", [b'{"code":7}', b"[]", b"{\xff", FLOOD])
def test_a_reason_that_cannot_be_read(sent: bytes) -> None:
    client, *_ = session(CODE, command="x")
    (event,) = client.receive(frame(CLOSE, 0, 1, sent), 0.0)
    assert (event.type, event.value.code) == (CLOSE, "bad-json")


VARIABLES = b"".join(b'"v%d":"",' % number for number in range(3000))


def grown(channels: Any, sent: bytes) -> int:
    """The bytes of memory that are more in use after `channels` has got `sent`."""
    messages = [sent[at : at + 65518] for at in range(0, len(sent), 65518)]
    tracemalloc.start()
    try:
        for message in messages:
            channels.receive(bytes(bytearray(message)), 0.0)
        channels.receive(b"", 0.0)  # what was not taken of the last message is copied
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_memory_stays_bounded() -> None:
    client, *_ = session(CODE, command="x")
    others = [opened(client, "tcp", host="h", port=1) for _ in range(99)]
    data = [
        frame(DATA, 0, channel.number, bytes([number % 251]) * 3) + frame(DATA, 0, channel.number, bytes(8000))
        for number in range(4)
        for channel in others
        if channel.readers[0].limit >= 8003 * (number + 1)
    ]
    singles = [frame(DATA, 1, 1, b"x")] * 20_000
    held = grown(client, b"".join(data + singles))
    arrived = sum(len(reader) for channel in client._table.channels.values() for reader in channel.readers.values())
    assert arrived > MIB
    assert held < 1.3 * arrived
    assert len(client._table.channels) == 100


@pytest.mark.parametrize(
    "sent",
    [
        b"".join(frame(1, 0, number, b'{"kind":"session"}') for number in range(3, 8_003, 2)),
        b"".join(frame(1, 0, number, b'{"kind":"session"}') + frame(CLOSE, 0, number) for number in range(3, 8_003, 2)),
        b"".join(frame(8, 0, 1, b'{"type":"x","y":"%s"}' % (b"z" * 32_000)) for _ in range(200)),
        b"".join(
            frame(1, 0, 2 * number + 1, b'{"kind":"session","env":{%s"z":""}}' % VARIABLES) for number in range(1, 40)
        ),
    ],
    ids=["opens", "opens and closes", "requests", "large opens"],
)
def test_floods_hold_little(sent: bytes) -> None:
    _, agent, *_ = session(CODE, command="x")
    assert grown(agent, sent) < 3 * MIB


def test_a_flood_of_small_writes_holds_little() -> None:
    client = CODE.multiplexer.Channels(CODE.kinds.Role.CLIENT)
    channel = opened(client, "tcp", host="h", port=1)
    channel.writers[0].limit = 1 << 30
    tracemalloc.start()
    for _ in range(20_000):
        if channel.room(0):
            channel.write(0, b"x")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 100 * 1024


def test_frames_after_ones_own_close_are_dropped() -> None:
    client, agent, mine, other = session(CODE, command="x")
    mine.request("signal", name="INT")
    mine.close()
    other.write(1, b"late")
    other.end(1)
    late = b"".join(agent.take(*PLENTY))
    assert [kind for kind, *_ in cut_frames(late)] == [DATA, EOF]
    assert client.receive(late, 0.0) == []
    assert mine.readers[1].pieces() == []
    assert [event.type for event in agent.receive(b"".join(client.take(*PLENTY)), 0.0)] == [8, CLOSE]
    assert [event.type for event in client.receive(b"".join(agent.take(*PLENTY)), 0.0)] == [CLOSE]
    assert not client._table.channels
    assert not agent._table.channels


def test_a_channel_that_is_closed_before_it_is_answered() -> None:
    client, agent = (CODE.multiplexer.Channels(role) for role in CODE.kinds.Role)
    mine = client.open("tcp", host="h", port=1)
    mine.close()
    offer, closed = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    assert closed.type == CLOSE
    offer.channel.accept()
    offer.channel.refuse("no", "no")
    assert [kind for kind, *_ in cut_frames(b"".join(agent.take(*PLENTY)))] == [CLOSE]
    assert agent.deadline() is None


@pytest.mark.parametrize("early", [True, False])
def test_a_refusal_that_meets_a_close(early: bool) -> None:
    client, agent = (CODE.multiplexer.Channels(role) for role in CODE.kinds.Role)
    mine = client.open("tcp", host="h", port=1)
    (offer,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    offer.channel.refuse("no-host", "there is no such host")
    if early:
        mine.close()
    (event,) = client.receive(b"".join(agent.take(*PLENTY)), 0.0)
    assert (event.type, event.value) == (CLOSE if early else REFUSED, ("no-host", "there is no such host"))
    (event,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    assert event.type == CLOSE
    assert not client._table.channels
    assert not agent._table.channels
    assert client._windows.budget.used == agent._windows.budget.used == 0


def test_a_channel_that_is_accepted_late() -> None:
    client, agent = (CODE.multiplexer.Channels(role) for role in CODE.kinds.Role)
    mine = client.open("session")
    mine.end(0)
    mine.readers[2].stop()
    events = agent.receive(b"".join(client.take(*PLENTY)), 7.0)
    other = events[0].channel
    assert other.readers[0].complete
    assert agent.deadline() == 37.0
    agent.expire(36.9)
    other.end(1)
    other.request("detach")
    assert taken(agent) == []
    other.accept(pid=7)
    assert [(kind, sub) for kind, sub, *_ in taken(agent)] == [(OPENED, 0), (EOF, 1), (EOF, 2)]
    agent.expire(99.0)
    assert taken(agent) == []

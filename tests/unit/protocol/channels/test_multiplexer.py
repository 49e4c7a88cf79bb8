from __future__ import annotations

import pytest

from medusa.protocol.channels.channel import TooManyChannels
from medusa.protocol.channels.frames import CLOSE, DATA, EOF, GOAWAY, MAX_WORDS, REQUEST, RESULT, STOP, Reason
from medusa.protocol.channels.kinds import KINDS, Role
from medusa.protocol.channels.multiplexer import Channels
from medusa.protocol.errors import LocalProtocolError
from medusa.protocol.resume.budget import Budget
from medusa.protocol.resume.stream import Stream
from tests.streams.wire import PLENTY, cut_frames, frame, linked, opened, record, sends, session, taken
from tests.streams.world import AGENT, CLIENT, Code, World

CODE = Code()
EXAMPLES: dict[str, dict[str, object]] = {
    "session": {"command": "x", "env": {"A": "b"}, "pty": {"columns": 80, "lines": 25, "term": "xterm"}},
    "attach": {"terminal": "1", "read_only": True},
    "tcp": {"host": "h", "port": 1},
    "unix": {"path": "/s"},
    "listen": {"path": "/s"},
    "accepted": {"listener": 1},
    "sftp": {},
    "info": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_opened_by_one_end(kind: str) -> None:
    role = KINDS[kind].opener
    opener, other = Channels(role), Channels(Role(3 - role))
    mine = opener.open(kind, **EXAMPLES[kind])
    (event,) = other.receive(b"".join(opener.take(*PLENTY)), 0.0)
    assert {name: value for name, value in event.value.items() if name in EXAMPLES[kind] and name != "pty"} == {
        name: value for name, value in EXAMPLES[kind].items() if name != "pty"
    }
    assert set(event.channel.readers) == set(mine.writers)
    assert set(event.channel.writers) == set(mine.readers)
    assert set(event.value) == set(KINDS[kind].fields)


def test_a_stop_ends_its_sub_and_leaves_the_others() -> None:
    client, agent, mine, other = session(CODE, command="yes")
    other.write(1, bytes(50_000))
    other.write(2, b"error")
    client.receive(frame(DATA, 1, 1, b"some"), 0.0)
    mine.readers[1].stop()
    assert (len(mine.readers[1]), mine.readers[1].pieces()) == (0, [])
    (event,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    assert (event.type, event.channel, event.sub) == (STOP, other, 1)
    assert other.room(1) == 0
    assert [row[:2] for row in taken(agent)] == [(DATA, 2), (EOF, 1)]
    client.receive(frame(DATA, 1, 1, b"late") + frame(EOF, 1, 1, bytes(40)), 0.0)
    assert not client.over
    assert (mine.readers[1].complete, mine.readers[1].over) == (False, True)
    mine.readers[1].stop()
    assert taken(client) == []


@pytest.mark.parametrize("fields", [{"status": 3}, {"signal": "KILL"}])
def test_a_result_comes_after_all_ends(fields: dict[str, object]) -> None:
    client, agent, mine, other = session(CODE, command="x")
    other.write(2, b"err")
    other.write(1, b"out")
    other.result(**fields)
    other.result(status=99)
    other.close()
    sent = b"".join(agent.take(*PLENTY))
    assert [row[:2] for row in cut_frames(sent)] == [(DATA, 2), (DATA, 1), (EOF, 1), (EOF, 2), (RESULT, 0), (CLOSE, 0)]
    events = client.receive(sent, 0.0)
    assert [event.type for event in events] == [DATA, DATA, EOF, EOF, RESULT, CLOSE]
    assert events[-2].value == {"status": None, "signal": None, **fields}
    assert [mine.readers[sub].read(9, 0.0) for sub in (1, 2)] == [b"out", b"err"]
    assert all(reader.complete for reader in mine.readers.values())


def test_requests_pass_data_and_unknown_ones_are_ignored() -> None:
    client, agent, mine, other = session(CODE, command="x")
    mine.write(0, bytes(20_000))
    mine.request("resize", columns=80, lines=25)
    mine.request("signal", name="INT")
    mine.request("juggle", balls=3)
    mine.request("detach")
    sent = b"".join(client.take(*PLENTY))
    assert [row[0] for row in cut_frames(sent)] == [REQUEST] * 4 + [DATA]
    events = agent.receive(sent, 0.0)
    assert [event.value for event in events[:-1]] == [
        {"type": "resize", "columns": 80, "lines": 25},
        {"type": "signal", "name": "INT"},
        {"type": "detach"},
    ]
    assert len(other.readers[0]) == 20_000


def test_a_goodbye_comes_last() -> None:
    client, agent, mine, other = session(CODE, command="x")
    mine.write(0, bytes(60_000))
    mine.request("detach")
    client.go_away(Reason("done", "x" * 2000))
    with pytest.raises(TooManyChannels):
        client.open("info")
    rows = taken(client, 40_000, 1 << 20, 1 << 20)
    assert GOAWAY not in [row[0] for row in rows]
    rows = taken(client)
    assert [row[0] for row in rows] == [DATA, GOAWAY]
    (event,) = agent.receive(frame(*rows[1]), 0.0)
    assert event.value == ("done", "x" * MAX_WORDS)
    assert agent.over
    assert taken(agent) == []
    other.request("detach")
    assert taken(agent) == []


def test_what_is_wrong_here_is_told_here() -> None:
    client, _, mine, _ = session(CODE, command="x")
    with pytest.raises(ValueError, match="port: "):
        client.open("tcp", host="h", port=65536)
    with pytest.raises(ValueError, match="host is missing"):
        client.open("tcp", port=1)
    with pytest.raises(ValueError, match="at most 32768"):
        client.open("session", env={"A": "x" * 33_000})
    with pytest.raises(LocalProtocolError):
        mine.write(0, bytes(65537))
    assert taken(client) == []


def test_data_that_were_not_taken_do_not_keep_messages_alive() -> None:
    client, _, mine, _ = session(CODE, command="x")
    message = frame(DATA, 1, 1, b"abc") + frame(DATA, 2, 1, bytes(30_000))
    client.receive(message, 0.0)
    assert mine.readers[1].pieces()[0].obj is message  # not copied
    mine.readers[1].took(1, 0.0)
    client.receive(frame(DATA, 1, 1, b"def"), 0.0)
    assert b"".join(mine.readers[1].pieces()) == b"bcdef"
    assert all(getattr(piece, "obj", None) is not message for piece in mine.readers[1].pieces())


def test_a_stopped_reader_stops_no_other_channel() -> None:
    world = World()
    stuck = world.open("session", command="yes")
    lively = world.open("session", pty={"columns": 80, "lines": 25})
    for number in (CLIENT, AGENT, CLIENT):
        world.send(number)
        world.deliver(number)
    full = world.ends[AGENT].open[stuck.number]
    while full.room(1):
        world.write(AGENT, stuck.number, 1, bytes(64 * 1024))
        world.send(AGENT)
        world.deliver(AGENT)
    world.write(AGENT, lively.number, 1, b"echo")
    world.send(AGENT)
    world.deliver(AGENT)
    assert lively.readers[1].read(9, 0.0) == b"echo"
    assert len(stuck.readers[1]) == 64 * 1024


def test_a_thousand_commands_leave_nothing() -> None:
    world = World()
    client, agent = world.ends
    for number in range(1000):
        mine = world.open("session", command="x")
        for end in (CLIENT, AGENT):
            world.send(end)
            world.deliver(end)
        other = agent.open.pop(mine.number)
        other.write(1, b"out")
        other.result(status=number % 256)
        other.close()
        for end in (AGENT, CLIENT):
            world.send(end)
            world.deliver(end)
        assert client.open.pop(mine.number).readers[1].read(9, 0.0) == b"out"
        world.readers.clear()
    world.settle()
    for at in world.ends:
        assert (at.channels.count, at.stream.kept, at.channels.deadline()) == (0, 0, None)
        assert at.channels._windows.budget.used == 0
        assert at.channels._windows.spare == Channels(Role.CLIENT)._windows.spare


def test_budgets_of_a_whole() -> None:
    whole = Budget(50_000)
    first, second = (Channels(Role.CLIENT, whole=whole) for _ in range(2))
    one = opened(first, "tcp", host="h", port=1)
    two = opened(second, "tcp", host="h", port=1)
    assert (one.readers[0].limit, two.readers[0].limit) == (4096, 4096)
    for _ in range(10):
        opened(first, "tcp", host="h", port=1)
    with pytest.raises(TooManyChannels):
        second.open("tcp", host="h", port=1)
    assert whole.used == 12 * 4096


def test_what_streams_keep_is_a_part_of_a_whole() -> None:
    whole = Budget(300_000)
    first, second = Stream(whole), Stream(whole)
    asked: list[int] = []

    def source(limit: int, data: int, total: int) -> list[bytes | memoryview]:
        asked.append(data)
        return [bytes(min(60_000, data))] if data > 0 else []

    for stream in (first, second):
        stream.link_up(0)
    for _ in range(5):
        first.next_message(source, 0.0)
    assert first.next_message(source, 0.0) is None
    assert second.next_message(source, 0.0) is not None  # each may keep a little
    assert asked[5:] == [0, 65_536]
    assert second.next_message(source, 0.0) is not None
    assert second.next_message(source, 0.0) is None
    first.receive(record(2, 120_000), 0.0)
    assert second.next_message(source, 0.0) is not None
    assert asked[7:] == [5536, 0, 120_000 - 65_536]
    assert whole.used == first.kept + second.kept


def test_a_stream_without_a_link_sends_nothing() -> None:
    stream = Stream()
    assert sends(stream, b"x") is None
    assert sends(linked(CODE), b"x") is not None

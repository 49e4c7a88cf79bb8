from __future__ import annotations

import pytest

from medusa.client.session.ending import Ending, channel_end
from medusa.client.streams.arrived import Arrived, arrivals
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.negotiation import Speech
from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import Reason
from medusa.protocol.channels.kinds import STDOUT, Role
from medusa.protocol.control import Error, Exit, Linkup, Notice, Start, Started, StreamAnswer, build, parse
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary, Close, Text
from medusa.protocol.resume.records import MAX_MESSAGE
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import MOST_MESSAGE, Link, LinkLost, Loss
from tests.memory_transport import memory_pair

START = Start(command="/bin/sh", arguments=("-c", ":"))


class Agent:
    """The far end, which answers only as the test says."""

    def __init__(self) -> None:
        near, self.transport = memory_pair()
        self.now = 0.0
        self.conversation = Conversation(Link(near, lambda: self.now), lambda: self.now)
        self.conversation.begin(START)
        message = self.transport.receive_nowait()
        assert isinstance(message, Text)
        start = parse(message.text)
        assert isinstance(start, Start)
        assert start.stream is not None
        self.start, self.id = start, start.stream.id
        self.end = StreamEnd(Role.AGENT)
        self.end.link_up(0)
        self.channels: list[Channel] = []

    def say(self, *messages: StreamAnswer | Started | Error | Exit | Notice | Linkup | bytes | Close) -> list[Arrived]:
        """Sends `messages`. Returns what the client makes of them."""
        for message in messages:
            whole = Binary(message) if isinstance(message, bytes) else message
            self.transport.send_nowait(whole if isinstance(whole, (Binary, Close)) else Text(build(whole)))
        found = []
        while (arrived := self.conversation.receive()) is not None:
            found.append(arrived)
        return found

    def answer(self, **fields: object) -> list[Arrived]:
        return self.say(StreamAnswer(**{"id": self.id, "received": 0, "incarnation": "0" * 32, **fields}))  # type: ignore[arg-type]

    def talk(self) -> list[Event]:
        """Passes what waits in both directions. Returns the client's events."""
        events: list[Event] = []
        self.conversation.send()
        while (message := self.transport.receive_nowait()) is not None:
            assert isinstance(message, Binary)
            self.channels += [e.channel for e in self.end.receive(message.data, self.now) if e.type == frames.OPEN]
        while (data := self.end.next_message(self.now)) is not None:
            events += [event for arrived in self.say(b"".join(data)) for event in arrived.events]
        return events


@pytest.fixture
def agent() -> Agent:
    return Agent()


def test_the_offer_is_in_start_and_all_else_unchanged(agent: Agent) -> None:
    assert (agent.start.command, agent.start.arguments) == ("/bin/sh", ("-c", ":"))
    assert agent.conversation.speech is Speech.NONE


def test_a_stream_begins_with_the_agents_answer(agent: Agent) -> None:
    assert [arrived.output for arrived in agent.say(b"stale")] == [b"stale"]
    (arrived,) = agent.answer()
    assert isinstance(arrived.control, StreamAnswer)
    assert agent.conversation.speech is Speech.STREAM
    agent.conversation.open("session", command="cat")
    assert agent.talk() == []
    agent.channels[0].accept()
    assert [event.type for event in agent.talk()] == [frames.OPENED]
    assert [arrived.control for arrived in agent.say(Started(1), Exit(0), Notice("soon"))] == [
        None,
        None,
        Notice("soon"),
    ]


@pytest.mark.parametrize("answer", [Started(7), Error("no shell"), Exit(status=0)])
def test_an_agent_of_part_2_goes_on_with_its_terminal(agent: Agent, answer: Started | Error | Exit) -> None:
    assert [arrived.control or arrived.output for arrived in agent.say(answer, b"$ ", Notice("n"))] == [
        answer,
        b"$ ",
        Notice("n"),
    ]
    assert agent.conversation.speech is Speech.TERMINAL
    assert agent.answer() == [Arrived(control=None)]


@pytest.mark.parametrize(("fields", "longest"), [({}, 128 * 1024), ({"message": 1 << 20}, 1 << 20)])
def test_messages_are_as_long_as_the_agent_reads(
    agent: Agent, fields: dict[str, object], longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel's buffers of this socket are small. The link goes on as if they took each message at once.
    monkeypatch.setattr("medusa.transports.link.LEAST_MESSAGE", MOST_MESSAGE)
    agent.answer(**fields)
    channel = agent.conversation.open("tcp", host="node", port=80)
    agent.talk()
    [far] = agent.channels
    far.accept()
    sizes: list[int] = []
    while len(sizes) < 20:
        agent.talk()
        channel.write(0, bytes(channel.room(0)))
        agent.conversation.send()
        while (message := agent.transport.receive_nowait()) is not None:
            assert isinstance(message, Binary)
            sizes.append(len(message.data))
            agent.end.receive(message.data, agent.now)
        far.readers[0].read(1 << 20, agent.now)
    assert longest - 4096 < max(sizes) <= longest, sizes


def test_an_answer_about_another_stream_counts_as_none(agent: Agent) -> None:
    assert agent.answer(id="f" * 32) == [Arrived()]
    assert agent.conversation.speech is Speech.NONE


@pytest.mark.parametrize("fields", [{"gone": True}, {"received": 1}])
def test_a_wrong_answer_ends_the_stream(agent: Agent, fields: dict[str, object]) -> None:
    ((event,),) = [arrived.events for arrived in agent.answer(**fields)]
    assert (event.type, event.value.code) == (frames.GOAWAY, "bad-answer")


def test_a_close_is_the_end_of_the_link(agent: Agent) -> None:
    with pytest.raises(LinkLost, match="enough"):
        agent.say(Close(1000, "enough"))


def test_no_message_is_made_before_the_link_takes_it(agent: Agent) -> None:
    """Otherwise bytes would be numbered, and kept, that wait in this process alone."""
    agent.answer()
    channel = agent.conversation.open("session", command="cat")
    agent.talk()
    agent.channels[0].accept()
    agent.talk()
    stream, sent = agent.conversation.stream, 0
    while room := channel.room(0):
        channel.write(0, bytes(room))
        sent += room
        agent.conversation.send()
        assert stream._stream.sent <= sent + MAX_MESSAGE
    assert stream._stream.kept <= 2 * MAX_MESSAGE


def test_acknowledgements_are_due_at_a_time(agent: Agent) -> None:
    agent.answer()
    agent.conversation.open("session", command="cat")
    agent.talk()
    agent.channels[0].accept()
    agent.talk()
    agent.talk()  # the first bytes are acknowledged at once
    assert agent.conversation.deadline() > 1.0
    agent.channels[0].write(1, b"x")
    agent.talk()
    assert 0.0 < agent.conversation.deadline() < 1.0


def test_what_was_taken_is_told_to_the_agent_before_the_next_message_is_processed(agent: Agent) -> None:
    agent.answer()
    reader = agent.conversation.open("session", command=None).readers[STDOUT]
    agent.talk()
    (channel,) = agent.channels
    channel.accept()
    agent.talk()
    for _ in range(2):
        channel.write(STDOUT, bytes(channel.room(STDOUT) // 2))
        message = agent.end.next_message(agent.now)
        assert message is not None
        agent.transport.send_nowait(Binary(b"".join(message)))
    first, sent = channel.writers[STDOUT].limit, []
    for arrived in arrivals(agent.conversation.receive, agent.conversation.send, 2):
        assert [event.type for event in arrived.events] == [frames.DATA]
        sent.append(agent.transport.receive_nowait())
        reader.took(len(reader), agent.now)
    nothing, window = sent
    assert nothing is None
    assert isinstance(window, Binary)
    agent.end.receive(window.data, agent.now)
    assert channel.writers[STDOUT].limit > first


def test_a_breach_is_told_to_the_agent(agent: Agent) -> None:
    agent.answer()
    event = agent.conversation.fail(StreamError("overflow", "too much"))
    assert event.value == Reason("overflow", "too much")
    agent.conversation.finish()
    message = agent.transport.receive_nowait()
    assert isinstance(message, Binary)
    assert [(event.type, event.value.code) for event in agent.end.receive(message.data, 0.0)] == [
        (frames.GOAWAY, "overflow")
    ]


class _Reader:
    def __init__(self, *, complete: bool, stopped: bool = False) -> None:
        self.complete, self.stopped = complete, stopped


class _Channel:
    def __init__(self, output: _Reader, errors: _Reader) -> None:
        self.readers = {1: output, 2: errors}


WHOLE = _Channel(_Reader(complete=True), _Reader(complete=False, stopped=True))
CUT = _Channel(_Reader(complete=False), _Reader(complete=True))
DONE = {"status": 3, "signal": None}


@pytest.mark.parametrize(
    ("event", "ending", "words"),
    [
        (Event(frames.RESULT, WHOLE, 0, DONE), Ending.EXIT, ""),
        (Event(frames.RESULT, CUT, 0, DONE), Ending.BROKEN, "the output did not arrive whole"),
        (
            Event(frames.EOF, WHOLE, 2, "digest"),
            Ending.BROKEN,
            "the error output did not arrive as it was sent (digest)",
        ),
        (
            Event(frames.REFUSED, WHOLE, 0, Reason("not-found", "no x\x1b")),
            Ending.NOT_FOUND,
            "the agent says: no x\\x1b",
        ),
        (Event(frames.REFUSED, WHOLE, 0, Reason("not-executable", "no")), Ending.NOT_EXECUTABLE, "the agent says: no"),
        (Event(frames.REFUSED, WHOLE, 0, Reason("limit", "")), Ending.NOT_STARTED, "the agent says: limit"),
        (Event(frames.CLOSE, WHOLE, 0, Reason()), Ending.BROKEN, "the agent has not said how the command ended"),
        (Event(frames.GOAWAY, None, 0, Reason("stopped", "got X")), Ending.BROKEN, "the agent says: got X"),
        (Event(frames.GOAWAY, None, 0, Reason("stopped", "by SIGTERM")), Ending.BROKEN, "the agent says: by SIGTERM"),
        (
            Event(frames.GOAWAY, None, 0, Reason("gap", "a b")),
            Ending.BROKEN,
            "the stream between mlogin and the agent has ended (gap: a b)",
        ),
    ],
)
def test_how_a_session_ends(event: Event, ending: Ending, words: str) -> None:
    ended = channel_end(event)
    assert ended is not None
    assert (ended.ending, str(ended)) == (ending, words)
    assert ended.exit == (Exit(status=3) if ending is Ending.EXIT else None)


@pytest.mark.parametrize("event", [Event(frames.OPENED, WHOLE, 0, {}), Event(frames.EOF, WHOLE, 1, "")])
def test_what_does_not_end_a_session(event: Event) -> None:
    assert channel_end(event) is None


def test_a_message_that_no_record_can_fill_is_not_read() -> None:
    agent = Agent()
    agent.answer()
    with pytest.raises(LinkLost) as lost:
        agent.say(bytes(MAX_MESSAGE + 1))
    assert lost.value.loss is Loss.ILLEGAL

"""One end of a stream as one object: `StreamEnd` joins the stream and its channels."""

from __future__ import annotations

from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import Event
from medusa.protocol.channels.frames import Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.resume.budget import Budget
from medusa.protocol.streams.end import StreamEnd


def ends() -> tuple[StreamEnd, StreamEnd]:
    client, agent = StreamEnd(Role.CLIENT), StreamEnd(Role.AGENT)
    assert client.link_up(0)
    assert agent.link_up(0)
    return client, agent


def passed(sender: StreamEnd, receiver: StreamEnd, now: float = 0.0) -> list[Event]:
    events: list[Event] = []
    while (message := sender.next_message(now)) is not None:
        events += receiver.receive(b"".join(message), now)
    return events


class TestStreamEnd:
    def test_a_channel_is_opened_used_and_the_stream_ended(self) -> None:
        client, agent = ends()
        channel = client.channels.open("session", command="cat")
        (event,) = passed(client, agent)
        assert (event.type, event.value["command"]) == (frames.OPEN, "cat")
        event.channel.accept()
        assert [event.type for event in passed(agent, client)] == [frames.OPENED]
        channel.write(0, b"abc")
        assert [event.type for event in passed(client, agent)] == [frames.DATA]
        assert event.channel.readers[0].read(10, 0.0) == b"abc"
        client.go_away(Reason("done"))
        assert not client.over
        assert [event.value.code for event in passed(client, agent)] == ["done"]
        assert (client.over, agent.over) == (True, True)

    def test_a_broken_record_ends_the_stream_at_both_ends(self) -> None:
        client, agent = ends()
        assert [event.value.code for event in agent.receive(b"\x07", 0.0)] == ["bad-record"]
        assert agent.receive(b"\x07", 0.0) == []
        assert [event.value.code for event in passed(agent, client)] == ["bad-record"]
        assert agent.over

    def test_a_channel_without_an_answer_is_refused(self) -> None:
        client, agent = ends()
        client.channels.open("sftp")
        passed(client, agent, 1.0)
        assert agent.deadline() is not None
        assert agent.expire(40.0) == []
        assert [event.value.code for event in passed(agent, client, 40.0)] == ["timeout"]

    def test_a_stream_whose_link_is_lost_gives_the_shared_memory_back(self) -> None:
        whole = Budget(1 << 20)
        client, agent = StreamEnd(Role.CLIENT), StreamEnd(Role.AGENT, whole, whole)
        assert client.link_up(0)
        assert agent.link_up(0)
        client.channels.open("session", command="yes")
        (event,) = passed(client, agent)
        event.channel.accept()
        passed(client, agent)
        event.channel.write(1, bytes(event.channel.room(1)))
        passed(agent, client)
        assert whole.used > 65_536 + 4000  # bytes that the client has not acknowledged, and the window of stdin
        agent.leave()
        assert whole.used == 0
        event.channel.readers[0].discard()
        assert whole.used == 0

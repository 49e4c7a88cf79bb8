"""One end of a stream as one object: `StreamEnd` joins the stream and its channels."""

from __future__ import annotations

import pytest

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

    def test_without_anything_to_send_no_frames_are_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The shortcut must not change what is sent: neither an acknowledgement nor bytes that are sent again."""
        client, agent = ends()
        client.channels.open("session", command="cat")
        assert client.channels.waiting
        message = client.next_message(0.0)
        assert not client.channels.waiting
        monkeypatch.setattr(client._stream, "next_message", None)  # not called
        assert client.next_message(0.0) is None
        monkeypatch.undo()
        agent.receive(b"".join(message or []), 0.0)
        agent.channels.take(0, 0, 0)
        assert not agent.channels.waiting
        assert agent.deadline() == 0.0  # the first bytes of a link are acknowledged at once
        assert agent.next_message(0.0)
        client.link_down()
        client.link_up(0)
        assert not client.channels.waiting
        again = client.next_message(0.0)
        assert b"".join((again or [])[1:]) == b"".join((message or [])[1:])
        assert client.next_message(0.0) is None

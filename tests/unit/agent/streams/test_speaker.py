from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agent.process.commands import Commands
from agent.process.context import Context
from agent.streams.registry import Streams
from agent.streams.shared import Shared
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.protocol.channels.channel import Channel
from medusa.protocol.channels.kinds import Role
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from tests.streamclients import PTY, STREAM_ID
from tests.unit.agent.process.starting import wait_for_end


class Stuck:
    """A link that takes nothing."""

    clear = False


@pytest.mark.parametrize("pty", [None, PTY])
def test_command_whose_start_cannot_be_told_is_ended(
    guard: Guard, monkeypatch: pytest.MonkeyPatch, pty: dict[str, Any] | None
) -> None:
    commands, shared = Commands(guard, time.monotonic, Timeouts(hangup_grace=0)), Shared()
    log: list[str] = []
    context = Context(None, guard, {}, log.append)  # type: ignore[arg-type]  # no signals
    streams = Streams(commands, shared)
    speaker = streams.take_up(StreamOffer(STREAM_ID), Stuck(), context, lambda words, reason: None)  # type: ignore[arg-type]
    assert speaker is not None
    client = StreamEnd(Role.CLIENT)
    client.link_up(0)
    client.channels.open("session", command="sleep 1000", pty=pty)
    message = client.next_message(0.0)
    assert message is not None

    def overflow(*_: object, **__: object) -> None:
        raise StreamError("overflow", "the peer does not take what it asks for")

    monkeypatch.setattr(Channel, "accept", overflow)
    speaker.receive(Binary(b"".join(message)))
    speaker.serve({})
    wait_for_end(commands)
    assert log[0].startswith("started /bin/bash, pid ")
    assert not Path("/proc", log[0].split()[-1]).exists()
    assert len(shared.terminals) == 0


def test_an_offer_that_comes_late_does_not_end_the_stream_that_the_client_uses(guard: Guard) -> None:
    streams = Streams(Commands(guard, time.monotonic, Timeouts()), Shared())
    context = Context(None, guard, {}, [].append)  # type: ignore[arg-type]  # no signals
    client = StreamEnd(Role.CLIENT)
    client.link_up(0)
    client.channels.open("info")
    message = client.next_message(0.0)
    assert message is not None
    found = [streams.take_up(StreamOffer(STREAM_ID), Stuck(), context, lambda *_: None) for _ in range(2)]  # type: ignore[arg-type]
    assert found[0] is not found[1] is not None  # the client has lost its link before it had an answer
    found[1].receive(Binary(b"".join(message)))
    for resume, expected in ((False, None), (True, found[1])):
        offer = StreamOffer(STREAM_ID, resume=resume)
        assert streams.take_up(offer, Stuck(), context, lambda *_: None) is expected  # type: ignore[arg-type]


def test_an_offer_that_is_older_than_another_one_moves_nothing(guard: Guard) -> None:
    streams = Streams(Commands(guard, time.monotonic, Timeouts()), Shared())
    context = Context(None, guard, {}, [].append)  # type: ignore[arg-type]  # no signals

    def offer(number: int, resume: bool = True) -> object:
        return streams.take_up(StreamOffer(STREAM_ID, resume, number=number), Stuck(), context, lambda *_: None)  # type: ignore[arg-type]

    stream = offer(1, resume=False)
    assert [offer(number) for number in (3, 2, 1, 0, 3, 4)] == [stream, None, None, stream, stream, stream]
    assert offer(2, resume=False) is None


def test_an_offer_of_a_new_stream_that_says_bytes_have_arrived_leaves_nothing_behind(guard: Guard) -> None:
    commands, shared = Commands(guard, time.monotonic, Timeouts()), Shared()
    streams = Streams(commands, shared)
    context = Context(None, guard, {}, [].append)  # type: ignore[arg-type]  # no signals
    for resume in (False, True):
        offer = StreamOffer(STREAM_ID, resume=resume, received=0 if resume else 5)
        assert streams.take_up(offer, Stuck(), context, lambda words, reason: None) is None  # type: ignore[arg-type]

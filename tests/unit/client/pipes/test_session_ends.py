from __future__ import annotations

import pytest

from medusa.client.outcome import Failure
from medusa.protocol.channels.frames import END, EOF, Reason, build_frame
from medusa.protocol.channels.kinds import STDOUT
from medusa.protocol.control import Error, Start, Started
from medusa.protocol.messages import Close
from tests.unit.client.pipes.played_agent import PlayedAgent
from tests.unit.client.pipes.stage import Script, Stage


def cut(reason: Reason) -> Script:
    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.channel.close(reason)
        agent.flush()
        agent.until(lambda: agent.closed is not None)

    return script


def refuse(code: str) -> Script:
    def script(agent: PlayedAgent) -> None:
        agent.answer()
        agent.channel.refuse(code, "no such thing")
        agent.flush()
        agent.until(lambda: agent.closed is not None)

    return script


def go_away(agent: PlayedAgent) -> None:
    agent.accept()
    agent.stream.go_away(Reason("limit", "the agent ends"))
    agent.flush()
    agent.until(lambda: agent.closed is not None)


def wrong_digest(agent: PlayedAgent) -> None:
    agent.accept()
    agent.write(STDOUT, b"abc")
    agent.stream.channels._outbox.control(build_frame(EOF, STDOUT, agent.channel.number, END.pack(3, bytes(32))))
    agent.flush()
    agent.until(lambda: agent.closed is not None)


def broken_record(agent: PlayedAgent) -> None:
    agent.accept()
    agent.peer.say(b"\x07")
    agent.until(lambda: agent.closed is not None)
    assert agent.goodbye == "bad-record"


def lost(agent: PlayedAgent) -> None:
    agent.accept()
    agent.peer.transport.abort()


def closed(agent: PlayedAgent) -> None:
    agent.accept()
    agent.peer.say(Close(1000, "the session was idle for too long"))


def older(message: Started | Error) -> Script:
    def script(agent: PlayedAgent) -> None:
        assert isinstance(agent.peer.hear(Start), Start)
        agent.peer.say(b"stale")
        agent.peer.say(message)
        agent.until(lambda: agent.closed is not None)
        assert agent.closed == "aborting"

    return script


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (cut(Reason("bad-request", "what?")), 254, r"not said how the command ended \(bad-request: what\?\)"),
        (cut(Reason()), 254, "not said how the command ended; outcome unknown"),
        (go_away, 254, r"stream between mlogin and the agent has ended \(limit: the agent ends\)"),
        (wrong_digest, 254, r"the output did not arrive as it was sent \(digest\)"),
        (broken_record, 254, r"\(bad-record: a message of 1 bytes\)"),
        (lost, 254, "the link to the reflector is lost"),
        (closed, 254, "idle for too long"),
        (refuse("not-found"), 127, "the agent says: no such thing"),
        (refuse("not-executable"), 126, "the agent says: no such thing"),
        (refuse("limit"), 255, "the agent says: no such thing"),
        (older(Started(1)), 255, r"^the agent is too old for pipes \(part 2\); use -t for a terminal$"),
        (older(Error("no sh")), 255, "too old for pipes.*\n.*no sh"),
    ],
)
def test_every_end_without_a_result_has_its_status_and_words(
    stage: Stage, script: Script, status: int, words: str
) -> None:
    with pytest.raises(Failure, match=words) as failure:
        stage.run(script)
    assert failure.value.status == status

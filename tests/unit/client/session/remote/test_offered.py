"""What an agent answers to the offer of a stream decides how mlogin talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from medusa.client.session.ending import SessionEnded
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.offered import ANSWER_TIMEOUT, OfferedRemote, remote_for
from medusa.client.session.remote.plain import PlainRemote
from medusa.client.session.remote.streamed import StreamRemote
from medusa.client.streams.conversation import Conversation
from medusa.protocol.channels.frames import Reason
from medusa.protocol.control import Control, Error, Notice, Start, Started
from tests.unit.client.peers import Desk, Peer
from tests.unit.client.streampeers import StreamPeer
from tests.waiting import wait_until

START = Start("/tmp", "xterm", 80, 24, "/bin/bash", ("-c", "make"), "0300000008", {"LANG": "C"}, ("LANG",))


class Stage(Desk):
    """An agent that was sent the offer.

    Attributes:
        now: the client's time.
        told: what the user was told.
    """

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(lambda: self.now)
        self.told: list[str] = []
        self.remote: Remote = OfferedRemote(
            Conversation(self.link, lambda: self.now), START, self.told.append, lambda: self.now
        )
        self.remote.begin()

    def peer(self) -> Peer:
        """An agent, which is no thread."""
        return Peer(self.far, lambda _: None)

    def stream_peer(self) -> StreamPeer:
        """An agent that has accepted the stream."""
        agent = StreamPeer(self.far, lambda _: None)
        agent.answer()
        self.until(lambda: isinstance(self.remote, StreamRemote))
        return agent

    def round(self) -> bytes:
        """What one round of the session's loop shows."""
        shown = self.remote.receive(1024)
        self.remote = self.remote.settled()
        self.remote.flush()
        return shown

    def until(self, condition: Callable[[], object]) -> bytes:
        """What is shown until `condition` holds."""
        shown = b""

        def holds() -> bool:
            nonlocal shown
            shown += self.round()
            return bool(condition())

        wait_until(holds, "the agent's answer")
        return shown


@pytest.mark.parametrize(("size", "kind"), [(32000, OfferedRemote), (40000, PlainRemote)])
def test_no_stream_is_offered_for_a_command_that_is_too_long_for_it(size: int, kind: type[Remote]) -> None:
    desk = Desk(lambda: 0.0)
    long = Start(command="/bin/bash", arguments=("-c", "x" * size), columns=80, lines=24)
    try:
        assert isinstance(remote_for(desk.link, long, lambda _: None), kind)
    finally:
        desk.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_a_stream_is_used_as_soon_as_it_is_accepted(stage: Stage) -> None:
    agent = stage.stream_peer()
    agent.opened()
    pty = {"term": "xterm", "columns": 80, "lines": 24, "modes": "0300000008"}
    expected = {"command": "make", "pty": pty, "env": {"LANG": "C"}, "named": ("LANG",), "login": False, "cwd": "/tmp"}
    assert agent.wish == {**expected, "name": "", "background": False, "check": "crc32"}


@pytest.mark.parametrize(("first", "shown"), [(Started(1), b""), (b"$ ", b"$ ")], ids=["part 2", "socat"])
def test_another_answer_means_an_older_agent(stage: Stage, first: Control | bytes, shown: bytes) -> None:
    agent = stage.peer()
    agent.say(Notice("the reflector stops"))
    agent.say(first)
    assert stage.remote.room == 0
    assert stage.until(lambda: isinstance(stage.remote, PlainRemote)) == shown
    assert stage.told == ["the reflector stops"]
    stage.remote.send(b"x")
    agent.hear_typed(b"x")


def test_an_error_of_an_older_agent_ends_the_session(stage: Stage) -> None:
    stage.peer().say(Error("no bash"))
    with pytest.raises(SessionEnded, match="no bash"):
        stage.until(lambda: False)


def test_an_agent_that_never_answers_gets_what_is_typed_after_a_while(stage: Stage) -> None:
    """socat on a raw port, which says nothing by itself."""
    assert (stage.remote.room, stage.remote.deadline()) == (0, ANSWER_TIMEOUT)
    stage.now = ANSWER_TIMEOUT
    assert stage.remote.room > 0
    assert stage.remote.deadline() > ANSWER_TIMEOUT
    stage.remote.send(b"x")
    assert isinstance(stage.remote.settled(), PlainRemote)
    stage.peer().hear_typed(b"x")


def test_a_late_answer_counts_if_nothing_was_typed(stage: Stage) -> None:
    stage.now = ANSWER_TIMEOUT
    stage.round()
    assert stage.stream_peer().opened().number == 1


@pytest.mark.parametrize(
    ("code", "status"), [("not-found", 127), ("not-executable", 126), ("cannot-start", 255), ("limit", 255)]
)
def test_a_refusal_has_words_and_a_status(stage: Stage, code: str, status: int) -> None:
    agent = stage.stream_peer()
    agent.opened().refuse(code, "no\x1b[2J")
    agent.send()
    with pytest.raises(SessionEnded, match=r"no\\x1b\[2J") as caught:
        stage.until(lambda: False)
    assert caught.value.step.error is not None
    assert caught.value.step.error.status == status


def test_the_rest_of_the_output_is_shown_after_the_end(stage: Stage) -> None:
    agent = stage.stream_peer()
    channel = agent.opened()
    channel.accept()
    channel.write(1, b"a" * 3000)
    channel.result(status=3)
    channel.close(Reason())
    agent.send()
    with pytest.raises(SessionEnded) as caught:
        wait_until(lambda: stage.remote.receive(0), "the end")
    assert caught.value.result().status == 3
    assert stage.remote.rest() == b"a" * 3000
    assert stage.remote.rest() == b""

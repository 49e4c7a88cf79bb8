"""Sessions that go on without mlogin: the user leaves one, attaches to one, or starts one detached."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.ledger import Ledger
from medusa.client.outcome import Detached, Failure, GivenUp, TakenOver
from medusa.client.session.detaching.leaving import NOT_KEPT, NOT_LEFT, Leaving
from medusa.client.session.detaching.start import start_detached
from medusa.client.session.ending import SessionEnded
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.remote.attached import AttachedRemote
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.needed import TOO_OLD, NeededStream
from medusa.client.session.remote.offered import OfferedRemote
from medusa.client.session.terminal_session import TerminalSession
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.settings import Attachment
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.negotiation import HARMLESS
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from medusa.protocol.channels.frames import Reason
from medusa.protocol.control import Exit, Start, Started
from medusa.protocol.messages import Close
from tests.unit.client.peers import Desk, Peer
from tests.unit.client.streampeers import StreamPeer
from tests.waiting import MS, PATIENCE, Clock

START = Start("", "xterm", 80, 24, "/bin/bash", ("--norc",))


class Lasting(Conversation):
    """A conversation with an agent that keeps the session."""

    lasting = True


class Keeper(StreamPeer):
    """An agent that keeps terminals, or at least gets the request to."""

    left = False

    def requested(self, name: str) -> None:
        self.left = name == "detach"

    def open_and(self, type_in: Callable[[bytes], None], typed: bytes = b"~d") -> None:
        """Opens the terminal. Only then does the user type."""
        self.open(pid=1)
        self.say(b"$")
        type_in(typed)

    def hear_detach(self, *, confirm: bool = True) -> None:
        while not self.left:
            self._receive()
        if confirm:
            self.close("detached")
            assert self.hear(Close) == Close(1000, "detached")

    def close(self, code: str) -> None:
        assert self.channel is not None
        self.channel.close(Reason(code))
        self.send()

    def open(self, **parameters: Any) -> None:
        self.answer()
        self.opened().accept(**parameters)
        self.send()


class Stage(Desk):
    def __init__(self) -> None:
        super().__init__()
        self.conversation = Lasting(self.link)
        self.kept: list[bool] = []
        self.can_leave = True

    def keep(self) -> bool:
        self.kept.append(True)
        return self.can_leave

    def run(
        self,
        script: Callable[[Keeper], None],
        *,
        typed: bytes = b"",
        how: Attachment | None = None,
        confirm_timeout: float = PATIENCE,
    ) -> Exit:
        os.write(self.keyboard, typed)
        with Signals() as signals, Terminal(self.stdin, Ledger()) as terminal, self.peer(script):
            console = self.console(terminal, signals)
            notices = WalltimeNotices(lambda: JobState(alive=True, words="runs"), 60.0)
            session = TerminalSession(self.remote(how), console, UserInput(b"~"), list, notices)
            session.leaving = Leaving(self.keep, timeout=confirm_timeout)
            return session.run()

    def peer(self, script: Callable[[Keeper], None]) -> Peer:
        return Keeper(self.far, script)  # type: ignore[arg-type]

    def remote(self, how: Attachment | None) -> Remote:
        if how is None:
            return OfferedRemote(self.conversation, START, self.tell)
        return NeededStream(self.conversation, AttachedRemote(self.conversation, START, how, self.tell), self.tell)

    def type(self, data: bytes) -> None:
        os.write(self.keyboard, data)

    def tell(self, text: str) -> None:
        os.write(self.said_to, text.encode() + b"\n")


class Lost(Conversation):
    """A conversation whose link is lost."""

    parted = True


def test_an_agent_that_cannot_be_reached_is_not_too_old(stage: Stage) -> None:
    clock, conversation = Clock(), Lost(stage.link)
    stream = AttachedRemote(conversation, START, Attachment(), stage.tell)
    remote = NeededStream(conversation, stream, stage.tell, clock)
    clock.now += 1000
    assert remote.receive(1) == b""
    conversation.parted = False
    clock.now += 1
    assert remote.receive(1) == b""
    clock.now += 1000
    with pytest.raises(SessionEnded, match=TOO_OLD):
        remote.receive(1)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def goodbye(peer: Keeper, end: Exit) -> None:
    peer.say(end)
    assert peer.hear(Close) == Close(1000, "done")


def test_the_escape_leaves_the_terminal_to_the_agent(stage: Stage) -> None:
    def agent(peer: Keeper) -> None:
        peer.open_and(stage.type)
        peer.hear_detach()

    with pytest.raises(Detached):
        stage.run(agent)
    assert stage.kept == [True], "the launcher was told once"


def test_a_closed_terminal_leaves_it_too(stage: Stage) -> None:
    def agent(peer: Keeper) -> None:
        peer.open(pid=1)
        peer.hear_typed(b"x")
        os.kill(os.getpid(), signal.SIGHUP)
        peer.hear_detach()

    with pytest.raises(Detached):
        stage.run(agent, typed=b"x")


def test_the_command_may_end_just_then(stage: Stage) -> None:
    def agent(peer: Keeper) -> None:
        peer.open_and(stage.type)
        peer.hear_detach(confirm=False)
        goodbye(peer, Exit(status=7))

    assert stage.run(agent) == Exit(status=7)


def test_an_agent_that_does_not_confirm_it(stage: Stage) -> None:
    def agent(peer: Keeper) -> None:
        peer.open_and(stage.type)
        peer.hear_detach(confirm=False)

    with pytest.raises(Detached):
        stage.run(agent, confirm_timeout=100 * MS)


@pytest.mark.parametrize("why", [NOT_KEPT, NOT_LEFT])
def test_why_the_user_cannot_leave(stage: Stage, why: str) -> None:
    stage.can_leave = False
    stage.conversation.lasting = why == NOT_LEFT

    def agent(peer: Keeper) -> None:
        peer.open_and(stage.type, b"~d\r")
        peer.hear_typed(b"\r")
        goodbye(peer, Exit(status=0))

    assert stage.run(agent) == Exit(status=0)
    assert f"not detached: {why}" in stage.said()


def test_a_hangup_ends_a_session_that_nothing_keeps(stage: Stage) -> None:
    stage.conversation.lasting = False

    def agent(peer: Keeper) -> None:
        peer.open(pid=1)
        os.kill(os.getpid(), signal.SIGHUP)
        assert peer.hear(Close) == Close(1000, "disconnected by the user")

    with pytest.raises(GivenUp):
        stage.run(agent)


class TestAttach:
    def test_it_shows_the_terminal_and_says_what_was_dropped(self, stage: Stage) -> None:
        def agent(peer: Keeper) -> None:
            peer.open(pid=1, dropped=1234567)
            fields = {name: peer.wish[name] for name in ("terminal", "steal", "read_only")}
            assert fields == {"terminal": None, "steal": True, "read_only": False}
            assert (peer.wish["pty"]["columns"], peer.wish["pty"]["lines"]) == (80, 24)
            peer.say(b"screen")
            peer.hear_typed(b"x")
            goodbye(peer, Exit(status=3))

        assert stage.run(agent, typed=b"x", how=Attachment(steal=True)) == Exit(status=3)
        assert os.read(stage.screen, 100) == b"screen"
        assert "1,234,567 bytes of output were dropped while nobody watched" in stage.said()

    def test_one_that_only_watches_sends_nothing(self, stage: Stage) -> None:
        def agent(peer: Keeper) -> None:
            peer.open_and(stage.type, b"typed\r~d")
            assert peer.wish["read_only"] is True
            peer.hear_detach()
            assert peer.typed == b""

        with pytest.raises(Detached):
            stage.run(agent, how=Attachment(read_only=True))

    def test_another_client_takes_it_over(self, stage: Stage) -> None:
        def agent(peer: Keeper) -> None:
            peer.open(pid=1)
            peer.close("stolen")
            assert peer.hear(Close) == Close(1000, "taken over")

        with pytest.raises(TakenOver, match="another client has taken the terminal over") as caught:
            stage.run(agent, how=Attachment())
        assert caught.value.status == 254

    def test_an_agent_without_streams_runs_nothing(self, stage: Stage) -> None:
        def agent(peer: Keeper) -> None:
            start = Peer.hear(peer, Start)
            assert isinstance(start, Start)
            assert (start.command, start.arguments) == (HARMLESS.command, HARMLESS.arguments)
            Peer.say(peer, Started(1))
            assert Peer.hear(peer, Close) == Close(1000, "aborting")

        with pytest.raises(Failure, match=TOO_OLD):
            stage.run(agent, how=Attachment())


class TestStartDetached:
    def start(self, stage: Stage, script: Callable[[Keeper], None]) -> None:
        with Signals() as signals, stage.peer(script):
            start_detached(stage.conversation, START, stage.keep, stage.tell, signals)

    def test_the_command_runs_and_its_terminal_is_kept(self, stage: Stage) -> None:
        def agent(peer: Keeper) -> None:
            peer.open(pid=1)
            peer.hear_detach()
            assert peer.wish["pty"]["lines"] == 24

        self.start(stage, agent)
        assert stage.kept == [True]

    @pytest.mark.parametrize("why", [NOT_KEPT, NOT_LEFT])
    def test_what_cannot_be_kept_is_an_error(self, stage: Stage, why: str) -> None:
        stage.can_leave = False
        stage.conversation.lasting = why == NOT_LEFT
        with pytest.raises(Failure, match="not detached"):
            self.start(stage, lambda peer: peer.open(pid=1))

    def test_a_command_that_cannot_be_started(self, stage: Stage) -> None:
        def agent(peer: Keeper) -> None:
            peer.answer()
            peer.opened().refuse("failed", "no such thing")
            peer.send()
            assert peer.hear(Close) == Close(1000, "aborting")

        with pytest.raises(Failure, match="the agent says: no such thing"):
            self.start(stage, agent)

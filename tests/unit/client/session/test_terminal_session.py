from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure, OutcomeUnknown
from medusa.client.session.input.keyboard import HIGH_WATER
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.offered import OfferedRemote
from medusa.client.session.remote.plain import PlainRemote
from medusa.client.session.terminal_session import TerminalSession
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from medusa.client.timeouts import Timeouts
from medusa.protocol.channels.limits import MAX_TERMINAL_WINDOW
from medusa.protocol.control import Error, Exit, Notice, Resize, Start, Started
from medusa.protocol.messages import Close, Text
from tests.unit.client.peers import Desk, Peer, ignored
from tests.unit.client.streampeers import StreamPeer
from tests.waiting import MS, wait_until

START = Start("", "xterm", 80, 24, "/bin/bash", ("--norc",))


class Stage(Desk):
    """One session: what the test types goes in at one pipe, what is shown and said comes out of two others.

    Args:
        streams: True for an agent that accepts the offer of a stream.
    """

    def __init__(self, *, streams: bool) -> None:
        super().__init__()
        self.streams = streams
        self.job = JobState(alive=True, words="runs")
        self.timeouts = Timeouts()

    def type(self, data: bytes) -> None:
        os.write(self.keyboard, data)

    def hang_up(self) -> None:
        """The end of what is typed."""
        os.close(self.keyboard)
        self.keyboard = -1

    def shown(self) -> bytes:
        return os.read(self.screen, 1 << 20)

    def run(self, script: Callable[[Peer], None]) -> Exit:
        """A session whose agent follows `script` from the start message on."""

        def agent(peer: Peer) -> None:
            assert peer.hear(Start) == START
            script(peer)

        with Signals() as signals, Terminal(self.stdin, Ledger()) as terminal, self.peer(agent):
            notices = WalltimeNotices(lambda: self.job, self.timeouts.walltime_interval)
            console, info = self.console(terminal, signals), lambda: ["session 4711"]
            typed = UserInput(b"~", self.timeouts)
            remote = self.remote(console.messages.error)
            return TerminalSession(remote, console, typed, info, notices, self.timeouts).run()

    @property
    def bulk(self) -> int:
        """How many bytes the client takes if nobody reads what it shows: more than a pipe's 64 KiB."""
        return 96 * 1024 if self.streams else HIGH_WATER - 1

    def peer(self, script: Callable[[Peer], None]) -> Peer:
        return (StreamPeer if self.streams else Peer)(self.far, script)

    def remote(self, tell: Callable[[str], None]) -> Remote:
        if self.streams:
            return OfferedRemote(Conversation(self.link), START, tell)
        return PlainRemote(self.link, START, tell)


@pytest.fixture(params=[False, True], ids=["part 2", "stream"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(streams=request.param)
    yield stage
    stage.close()


def goodbye(peer: Peer, end: Exit) -> None:
    """The agent's part of a good end: the client closes with `done`."""
    peer.say(end)
    assert peer.hear(Close) == Close(1000, "done")


def test_bytes_pass_both_ways_and_the_end_is_returned(stage: Stage) -> None:
    stage.type(b"echo \xff\xc3\xa4\r")

    def agent(peer: Peer) -> None:
        peer.say(Started(4711))
        peer.hear_typed(b"echo \xff\xc3\xa4\r")
        peer.say(b"\xff\xc3\xa4\r\n")
        peer.say(Text("ping"))
        peer.say(b"")
        goodbye(peer, Exit(status=7))

    assert stage.run(agent) == Exit(status=7)
    assert stage.shown() == b"\xff\xc3\xa4\r\n"


def test_the_end_of_input_lasts(stage: Stage) -> None:
    """A shell that was just about to change its terminal's modes has not seen it."""
    stage.timeouts = Timeouts(end_of_input_interval=0.01, end_of_input_longest_interval=0.02)
    stage.hang_up()

    def agent(peer: Peer) -> None:
        peer.hear_typed(b"\x04" * 4)
        goodbye(peer, Exit(status=0))

    stage.run(agent)


def test_a_disconnect_is_polite_and_its_outcome_unknown(stage: Stage) -> None:
    stage.type(b"~.")

    def agent(peer: Peer) -> None:
        assert peer.hear(Close) == Close(1000, "disconnected by the user")

    with pytest.raises(OutcomeUnknown, match="disconnected; outcome unknown"):
        stage.run(agent)


def test_help_and_information_go_to_stderr_and_nothing_to_the_agent(stage: Stage) -> None:
    stage.type(b"~?~i~~x\r")

    def agent(peer: Peer) -> None:
        peer.hear_typed(b"~x\r")
        assert peer.typed == b"~x\r"
        goodbye(peer, Exit(status=0))

    stage.run(agent)
    said = stage.said()
    assert "Supported escape sequences" in said
    assert "\nsession 4711\n" in said


def test_without_job_control_nothing_stops(stage: Stage) -> None:
    """SIGTSTP ignored at the start: nobody would continue what stops."""
    stage.type(b"~\x1ax\r")

    def agent(peer: Peer) -> None:
        peer.hear_typed(b"x\r")
        goodbye(peer, Exit(status=0))

    with ignored(signal.SIGTSTP):
        stage.run(agent)
    assert "not suspended" in stage.said()


def test_a_resize_is_passed_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    monkeypatch.setenv("LINES", "43")

    def agent(peer: Peer) -> None:
        os.kill(os.getpid(), signal.SIGWINCH)
        assert peer.hear(Resize) == Resize(132, 43)
        os.kill(os.getpid(), signal.SIGCONT)
        assert peer.hear(Resize) == Resize(132, 43)
        goodbye(peer, Exit(status=0))

    stage.run(agent)


def test_output_still_on_its_way_at_the_end_comes_out_whole(stage: Stage) -> None:
    """More than a pipe holds, read by nobody until the link is closed."""
    bulk = os.urandom(stage.bulk)
    heard = bytearray()

    def agent(peer: Peer) -> None:
        peer.say(bulk)
        goodbye(peer, Exit(status=0))
        while len(heard) < len(bulk):
            heard.extend(stage.shown())

    assert stage.run(agent) == Exit(status=0)
    assert heard == bulk


def test_a_signal_ends_the_wait_for_a_reader_of_the_rest(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(bytes(stage.bulk))
        goodbye(peer, Exit(status=0))
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(OutcomeUnknown, match="SIGTERM"):
        stage.run(agent)


def test_a_reader_that_stops_stops_the_agent_and_not_what_is_typed(stage: Stage) -> None:
    drained = 0

    def agent(peer: Peer) -> None:
        nonlocal drained
        taken = peer.fill()
        held = MAX_TERMINAL_WINDOW + 2 * 64 * 1024  # the rest is in mlogin and in the pipe to the reader
        assert taken <= held if stage.streams else taken >= HIGH_WATER
        stage.type(b"\x03")
        peer.hear_typed(b"\x03")
        while drained < taken:
            drained += len(stage.shown())
        peer.transport.abort()

    with pytest.raises(OutcomeUnknown, match="lost"):
        stage.run(agent)
    assert drained


def test_an_agent_that_cannot_start_is_an_error_before_the_session(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(Error("no such shell\x1b[2J"))
        assert peer.hear(Close) == Close(1000, "aborting")

    with pytest.raises(Failure, match=r"no such shell\\x1b\[2J") as caught:
        stage.run(agent)
    assert caught.value.status == 255


def test_an_agent_that_fails_later_leaves_the_outcome_unknown(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(Started(1))
        peer.say(Error("the terminal is gone"))
        assert peer.hear(Close) == Close(1000, "aborting")

    with pytest.raises(OutcomeUnknown):
        stage.run(agent)


def test_a_close_without_a_farewell_leaves_the_outcome_unknown(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(b"last words")
        peer.say(Close(1000, "remote connection error"))

    with pytest.raises(OutcomeUnknown, match=r"\(remote connection error\); outcome unknown"):
        stage.run(agent)
    assert stage.shown() == b"last words"


def test_a_lost_link_leaves_the_outcome_unknown(stage: Stage) -> None:
    with pytest.raises(OutcomeUnknown, match="lost"):
        stage.run(lambda peer: peer.transport.abort())


def test_a_signal_ends_it_politely(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert peer.hear(Close) == Close(1000, "interrupted")

    with pytest.raises(OutcomeUnknown, match="ended by SIGTERM; outcome unknown"):
        stage.run(agent)


def test_output_that_nobody_reads_ends_it(stage: Stage) -> None:
    os.close(stage.screen)
    stage.screen = -1

    def agent(peer: Peer) -> None:
        peer.say(b"x")
        assert peer.hear(Close) == Close(1000, "output closed")

    with pytest.raises(OutcomeUnknown, match="cannot write to standard output"):
        stage.run(agent)


@pytest.fixture
def at_terminal(stage: Stage) -> Stage:
    """A session whose user types at a terminal."""
    os.close(stage.stdin)
    os.close(stage.keyboard)
    stage.keyboard, stage.stdin = os.openpty()
    return stage


def test_a_terminal_that_goes_away_ends_it(at_terminal: Stage) -> None:
    stage = at_terminal

    def agent(peer: Peer) -> None:
        stage.hang_up()
        assert peer.hear(Close) == Close(1000, "disconnected by the user")

    with pytest.raises(OutcomeUnknown, match="the terminal is gone"):
        stage.run(agent)


def test_a_disconnect_is_heard_although_the_agent_reads_nothing(at_terminal: Stage) -> None:
    """As after a paste into a program that is stuck."""
    stage = at_terminal

    def agent(peer: Peer) -> None:
        for _ in range(HIGH_WATER // 512):
            stage.type(b"x" * 1023 + b"\r")
        stage.type(b"~.")
        wait_until(lambda: not select.select([stage.stdin], [], [], 0)[0], "the client to read all of it")
        peer.hear_end()

    with pytest.raises(OutcomeUnknown, match="disconnected"):
        stage.run(agent)


def test_the_end_of_the_jobs_time_is_told_before_it_comes(stage: Stage) -> None:
    stage.timeouts = Timeouts(walltime_interval=1 * MS)

    def agent(peer: Peer) -> None:
        stage.job = JobState(alive=True, words="runs", ends_at=time.monotonic() + 59)
        assert "the job's time is over in 5" in stage.said()
        goodbye(peer, Exit(status=0))

    assert stage.run(agent) == Exit(status=0)


def test_what_the_reflector_has_to_say_is_said(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(Notice("the session ends in 60 s\x1b[2J"))
        goodbye(peer, Exit(0))

    stage.run(agent)
    assert stage.said() == "mlogin: the session ends in 60 s\\x1b[2J\n"

from __future__ import annotations

import os
import signal
import time

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.outcome import OutcomeUnknown
from medusa.client.session.input.keyboard import HIGH_WATER
from medusa.client.timeouts import Timeouts
from medusa.protocol.channels.limits import MAX_TERMINAL_WINDOW
from medusa.protocol.control import Exit, Notice, Resize, Started
from medusa.protocol.messages import Close, Text
from tests.unit.client.peers import Peer, ignored
from tests.unit.client.session.stages import Stage, goodbye
from tests.waiting import MS


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

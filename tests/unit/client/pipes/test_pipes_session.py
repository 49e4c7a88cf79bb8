from __future__ import annotations

import fcntl
import os
import signal

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.outcome import Failure, Interrupted, OutcomeUnknown, status_of
from medusa.client.streams.negotiation import HARMLESS
from medusa.client.timeouts import Timeouts
from medusa.protocol.channels.kinds import STDERR, STDIN, STDOUT
from medusa.protocol.control import Exit, Notice, Start
from tests.unit.client.pipes.played_agent import PlayedAgent
from tests.unit.client.pipes.stage import Stage


def read(fd: int) -> bytes:
    return os.read(fd, 1 << 20)


def test_bytes_pass_both_ways_apart_and_unchanged(stage: Stage) -> None:
    stage.type(b"\x03\x04\n\0\xff")
    stage.hang_up()

    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.until(lambda: agent.ended)
        agent.write(STDOUT, agent.typed)
        agent.write(STDERR, b"err\n")
        agent.end(status=3)
        assert agent.start.command == HARMLESS.command
        assert (agent.wish["command"], agent.wish["pty"], agent.wish["cwd"]) == ("od -c", None, "/tmp")
        assert (agent.goodbye, agent.closed) == ("done", "done")

    assert stage.run(script, command="od -c", cwd="/tmp") == Exit(status=3)
    assert (read(stage.screen), read(stage.errors)) == (b"\x03\x04\n\0\xff", b"err\n")


@pytest.mark.parametrize(("result", "status"), [({"status": 7}, 7), ({"signal": "SIGKILL"}, 137)])
def test_the_result_is_exact(stage: Stage, result: dict[str, object], status: int) -> None:
    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.end(**result)

    assert status_of(stage.run(script)) == status


def test_an_agent_that_does_not_answer_is_given_up(stage: Stage) -> None:
    stage.timeouts = Timeouts(answer_timeout=0.0)
    with pytest.raises(Failure, match="has not answered") as failure:
        stage.run(lambda agent: agent.peer.hear_end())
    assert failure.value.status == 255


def test_a_parameter_that_does_not_fit_is_refused_here(stage: Stage) -> None:
    def script(agent: PlayedAgent) -> None:
        agent.wish = {"none": "comes"}
        agent.answer()
        agent.until(lambda: agent.closed is not None)

    with pytest.raises(Failure, match="bytes of parameters") as failure:
        stage.run(script, command="x" * 40000)
    assert failure.value.status == 255


def test_without_readers_the_command_is_told_and_the_status_is_that_of_sigpipe(stage: Stage) -> None:
    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.write(STDOUT, b"y\n" * 1000)
        stage.leave()
        agent.write(STDOUT, b"y\n" * (1 << 20))
        assert agent.stopped == [STDOUT]
        agent.end(status=0)

    assert status_of(stage.run(script)) == 128 + signal.SIGPIPE


def test_a_reader_that_has_all_may_go(stage: Stage) -> None:
    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.write(STDOUT, b"all")
        assert read(stage.screen) == b"all"
        stage.leave()
        agent.end(status=4)

    assert stage.run(script) == Exit(status=4)


def test_the_end_of_the_output_is_passed_on_while_the_command_goes_on(stage: Stage) -> None:
    stage.output.close()

    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.write(STDOUT, b"all")
        agent.channel.end(STDOUT)
        agent.flush()
        assert read(stage.screen) + read(stage.screen) == b"all"
        agent.write(STDERR, b"more")
        assert read(stage.errors) == b"more"
        agent.end(status=0)

    assert stage.run(script) == Exit(status=0)


def test_input_that_the_command_does_not_want_is_closed(stage: Stage) -> None:
    """Its writer gets SIGPIPE."""

    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.channel.readers[STDIN].stop()
        agent.flush()
        agent.until(lambda: agent.ended)
        with pytest.raises(BrokenPipeError):
            stage.type(b"x")
        agent.end(status=0)

    assert stage.run(script) == Exit(status=0)


def test_a_full_output_stops_neither_the_other_nor_the_input(stage: Stage) -> None:
    sent = got = 0
    fcntl.fcntl(stage.screen, fcntl.F_SETPIPE_SZ, 4096)

    def script(agent: PlayedAgent) -> None:
        nonlocal sent, got
        agent.accept()
        agent.write(STDERR, b"begin")
        while room := agent.channel.room(STDOUT):  # until its window is full
            agent.channel.write(STDOUT, bytes(room))
            agent.flush()
            sent += room
        agent.write(STDERR, b"here")
        while not read(stage.errors).endswith(b"here"):
            pass
        stage.type(b"there")
        agent.until(lambda: agent.typed == b"there")
        while got < sent:
            got += len(read(stage.screen))
        agent.end(status=0)

    assert stage.run(script) == Exit(status=0)
    assert got == sent > 4096


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_second_disconnects(stage: Stage, number: signal.Signals) -> None:
    stage.timeouts = Timeouts(second_signal_delay=0.0)

    def script(agent: PlayedAgent) -> None:
        agent.accept()
        for other in (signal.SIGUSR1, signal.SIGQUIT, number):
            os.kill(os.getpid(), other)
            name = other.name[3:]
            agent.until(lambda name=name: {"type": "signal", "name": name} in agent.requests)  # type: ignore[misc]
        os.kill(os.getpid(), signal.SIGINT)
        agent.until(lambda: agent.closed is not None)
        assert agent.closed == "interrupted"

    with pytest.raises(OutcomeUnknown, match="ended by SIGINT; outcome unknown"):
        stage.run(script)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 255)])
def test_before_the_command_was_asked_for_a_signal_ends_it(stage: Stage, number: signal.Signals, status: int) -> None:
    def script(agent: PlayedAgent) -> None:
        agent.peer.hear(Start)
        os.kill(os.getpid(), number)
        agent.until(lambda: agent.closed is not None)

    with pytest.raises(Interrupted) as interrupted:
        stage.run(script)
    assert interrupted.value.status == status


def test_sighup_ends_it(stage: Stage) -> None:
    def script(agent: PlayedAgent) -> None:
        agent.accept()
        os.kill(os.getpid(), signal.SIGHUP)
        agent.until(lambda: agent.closed is not None)

    with pytest.raises(OutcomeUnknown, match="ended by SIGHUP"):
        stage.run(script)


def test_notices_and_the_end_of_the_jobs_time_are_said(stage: Stage) -> None:
    stage.job = JobState(alive=True, words="runs", ends_at=0.0)
    said = ""

    def script(agent: PlayedAgent) -> None:
        nonlocal said
        agent.accept()
        agent.peer.say(Notice("the reflector stops soon"))
        while said.count("\n") < 2:
            said += stage.said()
        agent.end(status=0)

    assert stage.run(script) == Exit(status=0)
    assert "the job's time is over in 0 s" in said
    assert "mlogin: the reflector stops soon\n" in said


def test_input_that_cannot_be_read_is_told_and_ends(stage: Stage) -> None:
    directory = os.open("/", os.O_RDONLY)

    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.until(lambda: agent.ended)
        agent.end(status=0)

    try:
        assert stage.run(script, stdin=directory) == Exit(status=0)
    finally:
        os.close(directory)
    assert "cannot read standard input (Is a directory)" in stage.said()


@pytest.mark.parametrize("target", ["/dev/full"])
def test_output_that_cannot_be_written_ends_the_session(stage: Stage, target: str) -> None:
    full = os.open(target, os.O_WRONLY)
    os.dup2(full, stage.stdout)
    os.close(full)

    def script(agent: PlayedAgent) -> None:
        agent.accept()
        agent.write(STDOUT, b"x")
        agent.until(lambda: agent.closed is not None)
        assert agent.closed == "output closed"

    with pytest.raises(OutcomeUnknown, match=r"cannot write to standard output \(No space left on device\)"):
        stage.run(script)

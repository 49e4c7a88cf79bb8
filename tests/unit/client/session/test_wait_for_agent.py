from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure, Interrupted
from medusa.client.session.wait_for_agent import AGAIN, WaitForAgent
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from medusa.protocol.control import KILLED, Linkup, build
from medusa.protocol.control import Wait as Pulse
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.transports.base import Transport
from medusa.transports.link import Link
from tests.blocking import BlockingTransport
from tests.unit.client.peers import Clock, PlayedLauncher, link_ends
from tests.waiting import PATIENCE


@dataclass
class Stage:
    far: BlockingTransport
    link: Link
    launcher: PlayedLauncher
    wait: WaitForAgent
    clock: Clock
    stderr: int

    def said(self) -> str:
        return os.read(self.stderr, 65536).decode()


@pytest.fixture
def stage() -> Iterator[Stage]:
    near, far = link_ends()
    reader, writer = os.pipe()
    stdin, stdin_writer = os.pipe()
    clock = Clock()
    link, launcher = Link(near, clock), PlayedLauncher()
    with Signals() as signals:
        terminal = Terminal(stdin, Ledger())
        wait = WaitForAgent(link, launcher, Messages(writer), signals, terminal, clock, clock.now + 600)
        yield Stage(far, link, launcher, wait, clock, reader)
    link.abort()
    far.abort()
    for fd in (reader, writer, stdin, stdin_writer):
        os.close(fd)


def test_returns_at_linkup_and_leaves_what_follows(stage: Stage) -> None:
    for message in (Text(build(Pulse())), Text("rubbish"), Text(build(Linkup())), Binary(b"$ ")):
        stage.far.send(message)
    stage.wait.run()
    assert stage.link.receive() == Binary(b"$ ")


def test_says_how_the_job_fares(stage: Stage) -> None:
    stage.launcher.state = JobState(alive=True, words="held in the queue")
    stage.far.send(Text(build(Pulse())))
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        stage.wait.run()
    assert stage.said() == "mlogin: waiting for played job: held in the queue\n"


def test_a_job_that_ends_is_an_error_with_the_tail_of_its_log(stage: Stage) -> None:
    stage.launcher.state = JobState(alive=False, words="ended with status 127")
    stage.launcher.tail = ["sh: no python3"]
    with pytest.raises(Failure) as caught:
        stage.wait.run()
    assert str(caught.value) == "played job ended with status 127 before its agent appeared\n  sh: no python3"
    assert caught.value.status == 255


def test_a_job_that_ends_after_its_agent_came_is_the_sessions_business(stage: Stage) -> None:
    """The job is looked at after the link was read, and the link may know better by then."""

    def ended_meanwhile() -> JobState:
        stage.far.send(Text(build(Linkup())))
        return JobState(alive=False, words="killed by SIGKILL")

    stage.launcher.poll = ended_meanwhile  # type: ignore[method-assign]
    stage.wait.run()


def test_a_close_is_an_error_with_its_reason(stage: Stage) -> None:
    stage.far.send(Close(1000, "no agent came\x1b"))
    with pytest.raises(Failure, match=r"no agent came\\x1b"):
        stage.wait.run()


def test_a_lost_link_is_an_error(stage: Stage) -> None:
    stage.far.abort()
    with pytest.raises(Failure, match="lost") as caught:
        stage.wait.run()
    assert caught.value.status == 255


def test_the_deadline_is_an_error_with_the_jobs_state(stage: Stage) -> None:
    stage.wait.deadline = stage.clock.now
    stage.launcher.tail = ["not connected"]
    with pytest.raises(
        Failure, match=r"no agent after 0 s \(played job: queued\); --wait-timeout .*\n  not connected$"
    ):
        stage.wait.run()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_the_wait(stage: Stage, signum: int) -> None:
    os.kill(os.getpid(), signum)
    with pytest.raises(Interrupted):
        stage.wait.run()


class Again:
    """What a wait attaches to again: links that the test plays, one for each message told at its beginning."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.fars: list[BlockingTransport] = []

    def __call__(self) -> Transport:
        near, far = link_ends()
        self.fars.append(far)
        far.send(self.messages.pop(0))
        return near


@pytest.fixture
def again() -> Iterator[Again]:
    again = Again(Close(1000, "no agent came in time"), Text(build(Linkup())))
    yield again
    for far in again.fars:
        far.abort()


@pytest.mark.parametrize("lost", [False, True])
def test_a_job_in_a_queue_outlasts_its_links(stage: Stage, again: Again, lost: bool) -> None:
    stage.wait.reconnect = again
    if lost:
        stage.far.abort()
    else:
        stage.far.send(Close(1000, "no agent came in time"))
    stage.wait.run()
    assert len(again.fars) == 2
    again.fars[1].send(Binary(b"$ "))
    assert stage.link.receive() == Binary(b"$ ")
    lines = stage.said().splitlines()
    assert len([line for line in lines if line.endswith("; attaching again until the job has its turn")]) == 1


def test_a_session_that_an_administrator_ended_is_not_attached_again(stage: Stage, again: Again) -> None:
    stage.wait.reconnect = again
    stage.far.send(Text(build(Pulse(KILLED))))
    stage.far.send(Close(1000, "an administrator ended the session"))
    with pytest.raises(Failure, match="an administrator ended the session"):
        stage.wait.run()
    assert again.fars == []


def test_who_attaches_again_first_ends_the_link_before(stage: Stage, again: Again) -> None:
    """The id is free only then."""
    stage.far.send(Close(1000, "no agent came in time"))

    def connect() -> Transport:
        assert isinstance(stage.far.receive(PATIENCE), Close)
        again().abort()  # the first message is not of use here
        return again()

    stage.wait.reconnect = connect
    stage.wait.run()


def test_a_job_that_ended_is_not_waited_for_again(stage: Stage, again: Again) -> None:
    stage.wait.reconnect = again
    stage.launcher.state = JobState(alive=False, words="was cancelled")
    stage.far.send(Close(1000, "no agent came in time"))
    with pytest.raises(Failure, match="played job was cancelled before its agent appeared"):
        stage.wait.run()
    assert again.fars == []


class TestWithoutAQueue:
    @pytest.mark.parametrize("lost", [False, True])
    def test_a_reflector_that_is_lost_or_stops_is_followed_by_another(
        self, stage: Stage, again: Again, lost: bool
    ) -> None:
        again.messages = [Close(1001, "the reflector is shutting down"), Text(build(Linkup()))]
        stage.wait.reconnect, stage.wait.queues = again, False
        if lost:
            stage.far.abort()
        else:
            stage.far.send(Close(1001, "the reflector is shutting down"))
        stage.wait.run()
        assert len(again.fars) == 2
        assert stage.said().count("; attaching again with the same id\n") == 1

    def test_what_was_closed_in_words_has_ended(self, stage: Stage, again: Again) -> None:
        stage.wait.reconnect, stage.wait.queues = again, False
        stage.far.send(Close(1000, "no agent came in time"))
        with pytest.raises(Failure, match="no agent came in time"):
            stage.wait.run()
        assert again.fars == []

    def test_not_for_ever(self, stage: Stage, again: Again) -> None:
        again.messages = [Close(1001, "")] * 100
        stage.wait.reconnect, stage.wait.queues = again, False
        stage.far.abort()
        with pytest.raises(Failure):
            stage.wait.run()
        assert len(again.fars) == AGAIN

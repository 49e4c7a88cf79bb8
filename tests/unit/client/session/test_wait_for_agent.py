from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure, Interrupted
from medusa.client.session.wait_for_agent import RECONNECTS, LinkEnd, WaitForAgent
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from medusa.protocol.control import KILLED, Linkup, Notice, Wait, build
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.transports.base import Transport
from tests.blocking import BlockingTransport
from tests.unit.client.peers import Desk, PlayedLauncher, link_ends
from tests.waiting import PATIENCE, Clock

LINKUP = Text(build(Linkup()))
TIMED_OUT = Close(1000, "no agent came in time")
STOPPING = Close(1001, "the reflector is shutting down")


class NextLinks:
    """Links that the test plays, one for each message, which is sent at the beginning."""

    def __init__(self) -> None:
        self.messages: list[Message] = [TIMED_OUT, LINKUP]
        self.fars: list[BlockingTransport] = []

    def __call__(self) -> Transport:
        near, far = link_ends()
        self.fars.append(far)
        far.send(self.messages.pop(0))
        return near


class Stage(Desk):
    """A wait whose link, job, clock and next links the test plays."""

    def __init__(self, signals: Signals) -> None:
        self.clock = Clock()
        super().__init__(self.clock)
        self.launcher = PlayedLauncher()
        self.next = NextLinks()
        self.deadline = self.clock.now + 600
        self.tell_after = 0.0
        self._signals = signals

    def run(self, *, reconnects: bool = False, queues: bool = True) -> None:
        wait = WaitForAgent(
            self.link,
            self.launcher,
            self.console(Terminal(self.stdin, Ledger()), self._signals),
            deadline=self.deadline,
            reconnect=self.next if reconnects else None,
            queues=queues,
            clock=self.clock,
        )
        wait.tell_after = self.tell_after
        wait.run()

    def lose(self, close: Close | None) -> None:
        """Ends the first link, with a Close or without."""
        if close is None:
            self.far.abort()
        else:
            self.far.send(close)

    def close(self) -> None:
        super().close()
        for far in self.next.fars:
            far.abort()


@pytest.fixture
def stage(signals: Signals) -> Iterator[Stage]:
    stage = Stage(signals)
    yield stage
    stage.close()


def test_returns_at_linkup_and_leaves_what_follows(stage: Stage) -> None:
    for message in (Text(build(Wait())), Text("rubbish"), LINKUP, Binary(b"$ ")):
        stage.far.send(message)
    stage.run()
    assert stage.link.receive() == Binary(b"$ ")


def test_what_comes_soon_is_not_told(stage: Stage) -> None:
    stage.tell_after = 8

    def poll() -> JobState:
        stage.clock.now += 4
        if stage.clock.now >= 1012:
            stage.far.send(LINKUP)
        return JobState(alive=True, words=f"{stage.clock.now:g}")

    stage.launcher.poll = poll  # type: ignore[method-assign]
    stage.run()
    waits = [line.rpartition(" ")[2] for line in stage.said().splitlines() if "waiting for" in line]
    assert waits == ["1008", "1012"]


def test_the_reflectors_notices_and_its_silence_are_told(stage: Stage) -> None:
    stage.far.send(Text(build(Notice("the session ends in 30 s\x1b"))))

    def poll() -> JobState:
        stage.clock.now += 4
        if stage.clock.now >= 1008:
            stage.far.send(LINKUP)
        return JobState(alive=True, words="queued")

    stage.launcher.poll = poll  # type: ignore[method-assign]
    stage.run()
    said = stage.said().splitlines()
    assert said[0] == "mlogin: the session ends in 30 s\\x1b"
    assert [line for line in said if "no word" in line] == ["mlogin: no word from the reflector for 8 s"]


def test_a_link_that_is_lost_when_the_reflector_is_asked(stage: Stage) -> None:
    def poll() -> JobState:
        stage.clock.now += 4
        stage.far.abort()
        return JobState(alive=True, words="queued")

    stage.launcher.poll = poll  # type: ignore[method-assign]
    stage.run(reconnects=True)


def test_says_in_which_state_the_job_is(stage: Stage) -> None:
    stage.launcher.state = JobState(alive=True, words="held in the queue")
    stage.far.send(Text(build(Wait())))
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        stage.run()
    assert stage.said() == "mlogin: waiting for played job: held in the queue\n"


def test_a_job_that_ends_is_an_error_with_the_tail_of_its_log(stage: Stage) -> None:
    stage.launcher.state = JobState(alive=False, words="ended with status 127")
    stage.launcher.tail = ["sh: no python3"]
    with pytest.raises(Failure) as caught:
        stage.run()
    assert str(caught.value) == "played job ended with status 127 before its agent appeared\n  sh: no python3"
    assert caught.value.status == 255


def test_a_job_that_ends_after_its_agent_came_does_not_end_the_wait(stage: Stage) -> None:
    """Linkup arrives between the look at the link and the question to the launcher."""

    def poll() -> JobState:
        stage.far.send(LINKUP)
        return JobState(alive=False, words="killed by SIGKILL")

    stage.launcher.poll = poll  # type: ignore[method-assign]
    stage.run()


@pytest.mark.parametrize(
    ("close", "error"),
    [(Close(1000, "no agent came\x1b"), r"no agent came\\x1b"), (None, "lost"), (STOPPING, "shutting")],
)
def test_the_end_of_the_only_link_is_an_error(stage: Stage, close: Close | None, error: str) -> None:
    stage.lose(close)
    with pytest.raises(Failure, match=error) as caught:
        stage.run()
    assert caught.value.status == 255


def test_the_deadline_is_an_error_with_the_jobs_state(stage: Stage) -> None:
    stage.deadline = stage.clock.now
    stage.launcher.tail = ["not connected"]
    with pytest.raises(
        Failure, match=r"no agent after 0 s \(played job: queued\); --wait-timeout .*\n  not connected$"
    ):
        stage.run()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_the_wait(stage: Stage, signum: int) -> None:
    os.kill(os.getpid(), signum)
    with pytest.raises(Interrupted):
        stage.run()


@pytest.mark.parametrize(
    ("close", "queues", "words"),
    [
        (None, True, "until the job has its turn"),
        (TIMED_OUT, True, "until the job has its turn"),
        (None, False, "with the same id"),
        (STOPPING, False, "with the same id"),
    ],
)
def test_another_link_follows_and_the_user_is_told_once(
    stage: Stage, close: Close | None, queues: bool, words: str
) -> None:
    stage.next.messages[0] = STOPPING
    stage.lose(close)
    stage.run(reconnects=True, queues=queues)
    assert len(stage.next.fars) == 2
    stage.next.fars[1].send(Binary(b"$ "))
    assert stage.link.receive() == Binary(b"$ ")
    assert stage.said().count(f"; attaching again {words}\n") == 1


def test_the_link_before_is_closed_first(stage: Stage) -> None:
    """The session's id is free only then."""
    connect = stage.next

    def reconnect() -> Transport:
        assert isinstance(stage.far.receive(PATIENCE), Close)
        connect().abort()  # the first message is not of use here
        return connect()

    stage.far.send(TIMED_OUT)
    stage.next = reconnect  # type: ignore[assignment]
    stage.run(reconnects=True)
    stage.next = connect


@pytest.mark.parametrize(
    ("alive", "messages", "queues", "error"),
    [
        (True, [Text(build(Wait(KILLED))), Close(1000, "killed by an administrator")], True, "by an administrator"),
        (False, [TIMED_OUT], True, "played job was cancelled before its agent appeared"),
        (True, [TIMED_OUT], False, "no agent came in time"),
    ],
    ids=["killed", "the job has ended", "jobs do not queue"],
)
def test_no_link_follows(stage: Stage, alive: bool, messages: list[Message], queues: bool, error: str) -> None:
    stage.launcher.state = JobState(alive=alive, words="was cancelled")
    for message in messages:
        stage.far.send(message)
    with pytest.raises(Failure, match=error):
        stage.run(reconnects=True, queues=queues)
    assert stage.next.fars == []


def test_links_follow_a_few_times_only_if_jobs_do_not_queue(stage: Stage) -> None:
    stage.next.messages = [Close(1001, "")] * 100
    stage.far.abort()
    with pytest.raises(Failure):
        stage.run(reconnects=True, queues=False)
    assert len(stage.next.fars) == RECONNECTS[LinkEnd.LOST].immediate

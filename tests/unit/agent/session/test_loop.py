"""The loop with a real terminal and a real socket; its clock moves when nothing happens, so no test waits."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.process.process_tree import live_sessions
from medusa.protocol.control import Call, Error, Exit, Resize, Start, Started, build
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.transports.base import Transport
from tests.unit.agent.session.stage import TIMEOUTS, Script, Stage, shell
from tests.unit.client.peers import link_ends


def test_command_from_start_to_exit(stage: Stage) -> None:
    def script(stage: Stage) -> Script:
        stage.tell(Resize(101, 42))
        stage.tell(shell("stty size; read word; echo $word; exit 3"))
        yield from stage.until(Started)
        stage.tell(shell("exit 9"))
        while b"42 101" not in stage.output:
            yield
        stage.tell(b"hello\n")
        yield from stage.until(Exit)
        stage.far.send_nowait(Close(1000, "thanks"))

    stage.run(script, preface=b"look: ")
    assert stage.output == b"look: 42 101\r\nhello\r\nhello\r\n"
    assert stage.find(Exit) == [Exit(status=3)]
    assert stage.log[0].startswith("started /bin/sh, pid ")
    assert stage.log[1:] == ["ended: status 3", "session over: closed: thanks"]
    stage.check_nothing_is_left()


def test_client_that_does_not_close_is_left(stage: Stage) -> None:
    def script(stage: Stage) -> Script:
        stage.tell(Start(command="/no/such/program"))
        yield from stage.until(Error)

    begun = stage.clock.now
    stage.run(script)
    assert stage.find(Error) == [Error("/no/such/program: not found or not executable")]
    assert stage.clock.now - begun >= TIMEOUTS.leave_timeout
    assert stage.log[-1] == "session over: done; the client did not close"


def abort(stage: Stage) -> None:
    stage.reading = False
    stage.far.abort()


def break_protocol(stage: Stage) -> None:
    stage.reading = False
    stage.far._stream.send(b"\xff\xff\xff\xff")


def stop(_: Stage) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


ENDS = {
    abort: "link lost: the connection ended without a Close",
    break_protocol: "the peer broke the protocol: ",
    stop: "stopped by SIGTERM",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", ["exec sleep 1000", "trap '' HUP; sleep 1000 & exec sleep 1000"])
def test_whatever_ends_the_session_ends_its_processes(stage: Stage, end: Callable[[Stage], None], command: str) -> None:
    def script(stage: Stage) -> Script:
        stage.tell(shell(command))
        yield from stage.until(Started)
        end(stage)

    stage.run(script)
    assert stage.log[-1].startswith("session over: " + ENDS[end])
    stage.check_nothing_is_left()


@pytest.mark.parametrize("end", ENDS)
def test_session_ends_without_a_command_too(stage: Stage, end: Callable[[Stage], None]) -> None:
    def script(stage: Stage) -> Script:
        end(stage)
        yield

    stage.run(script)
    assert stage.log[-1].startswith("session over: " + ENDS[end])


def test_stop_is_said_to_the_client(stage: Stage) -> None:
    def script(stage: Stage) -> Script:
        stop(stage)
        yield

    stage.run(script)
    assert stage.received == [Error("the agent was stopped by SIGTERM"), Close(1000, "")]


def test_silent_client_is_lost(stage: Stage) -> None:
    def script(stage: Stage) -> Script:
        stage.tell(shell("exec sleep 1000"))
        yield from stage.until(Started)
        stage.reading = False

    stage.run(script)
    assert stage.log[-1] == "session over: link lost: silent for 45 s"
    stage.check_nothing_is_left()


def test_idle_agent_pings_a_client_that_answers(stage: Stage) -> None:
    def script(stage: Stage) -> Script:
        yield from stage.until(Ping, 5)
        stage.far.send_nowait(Close(1000, ""))

    begun = stage.clock.now
    stage.run(script)
    assert stage.clock.now - begun >= 5 * TIMEOUTS.keepalive_interval
    assert stage.log == ["session over: closed"]


def fill(stage: Stage) -> Script:
    """Send input until the agent does not read it any more, as its terminal takes none."""
    stage.tell(shell("stty raw -echo; printf go; exec sleep 1000"))
    yield from stage.until(Binary)
    rounds = 0
    while rounds < 20:
        rounds += 1
        while stage.far.flush() and stage.far.send_nowait(Binary(bytes(65536))):
            rounds = 0
        yield


def test_agent_that_does_not_read_pings_and_does_not_judge(stage: Stage) -> None:
    def script(stage: Stage) -> Script:
        yield from fill(stage)
        stage.real_wait = 0
        yield from stage.until(Ping, len(stage.find(Ping)) + 5)
        abort(stage)

    stage.run(script)
    assert stage.log[-1] == "session over: link lost while the terminal did not take its input"
    stage.check_nothing_is_left()


# Writes until neither the terminal nor the link takes more, writes the number of bytes into a file, and ends.
OVERFLOW = """
import os, select, sys
os.set_blocking(1, False)
count = 0
while select.select([], [1], [], 0.1)[1]:
    count += os.write(1, b"y" * 1000)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(count))
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


@pytest.mark.parametrize(
    "background",
    ["", "trap '' HUP; (while echo x; do sleep 0.01; done) &", "(trap '' HUP; exec yes x 2>&-) &"],
    ids=["alone", "beside-a-trickle", "beside-a-flood"],
)
def test_drain_waits_for_a_link_that_stands_still(stage: Stage, tmp_path: Path, background: str) -> None:
    count = tmp_path / "count"

    def script(stage: Stage) -> Script:
        overflow = shlex.join([sys.executable, "-I", "-S", "-c", OVERFLOW, str(count)])
        stage.tell(shell(f"stty -opost; {overflow}; {background} exit 3"))
        yield from stage.until(Started)
        stage.reading = False
        while not count.exists():
            stage.clock.now = begun  # the agent is not to miss the client meanwhile
            yield
        for columns in range(100):
            stage.tell(Resize(columns + 1, 25))
            stage.clock.now += 1
            yield
        assert stage.log[1:] == []
        stage.reading = True
        yield from stage.until(Exit)
        stage.far.send_nowait(Close(1000, ""))

    begun = stage.clock.now
    stage.run(script)
    assert stage.find(Exit) == [Exit(status=3)]
    assert stage.output.count(b"y") == int(count.read_text())
    stage.check_nothing_is_left()


def test_error_in_one_link_does_not_end_another(stage: Stage) -> None:
    other, far = link_ends()

    def fail(line: str) -> None:
        if line.startswith("client 2: started"):
            raise RuntimeError(line)

    class Dialer:
        """Has one more link for the agent at once."""

        def __init__(self) -> None:
            self.found: list[Transport] = []

        def begin(self, leg: str) -> None:
            self.found.append(other)

        def deadline(self) -> float | None:
            return 0.0 if self.found else None

        def wanted(self) -> dict[int, int]:
            return {}

        def step(self, events: dict[int, int]) -> list[Transport]:
            found, self.found = self.found, []
            return found

        def close(self) -> None:
            self.found.clear()

    def script(stage: Stage) -> Script:
        stage.tell(Call("0" * 32))
        stage.tell(shell("read word; exit 3"))
        yield from stage.until(Started)
        far.send_nowait(Text(build(shell("exec sleep 1000"))))
        while other.fileno() >= 0:
            yield
        stage.tell(b"word\n")
        yield from stage.until(Exit)
        stage.far.send_nowait(Close(1000, ""))

    with pytest.raises(RuntimeError, match="client 2: started /bin/sh"):
        stage.run(script, log=fail, dialer=Dialer())
    far.abort()
    assert stage.find(Exit) == [Exit(status=3)]
    assert live_sessions(stage.guard.lines()) == []  # type: ignore[attr-defined]


def test_error_of_the_agents_own_ends_the_processes_too(stage: Stage) -> None:
    def fail(line: str) -> None:
        raise RuntimeError(line)

    def script(stage: Stage) -> Script:
        stage.tell(shell("exec sleep 1000"))
        yield

    with pytest.raises(RuntimeError, match="started /bin/sh"):
        stage.run(script, log=fail)
    stage.check_nothing_is_left()

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.process.commands import Commands
from agent.process.pipe_child import STDOUT, PipeChild
from agent.process.process_tree import ProcessTree, ended_line, live_sessions
from medusa.guard import Guard
from medusa.protocol.control import Exit
from tests.unit.agent.process.starting import exit_of, launch
from tests.waiting import wait_until

Shell = Callable[[str], PipeChild]


@pytest.fixture
def shell(guard: Guard, commands: Commands) -> Shell:
    """Starts a shell that runs a script."""

    def shell(script: str) -> PipeChild:
        child = PipeChild.start(launch("/bin/sh", "-c", script), guard)
        commands.add(child)
        return child

    return shell


def wait_for_end(commands: Commands) -> None:
    def ended() -> bool:
        commands.step()
        return not commands.ending

    wait_until(ended)


def pids_of(child: PipeChild, count: int) -> list[int]:
    """The numbers that a command writes."""
    output = b""

    def complete() -> bool:
        nonlocal output
        output += child.read(STDOUT) or b""
        return output.count(b"\n") == count

    wait_until(complete)
    return [int(word) for word in output.split()]


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("script", "exit_"),
    [("exit 7", Exit(status=7)), ("kill -KILL $$", Exit(signal="SIGKILL")), ("kill -40 $$", Exit(status=128 + 40))],
)
def test_each_command_gets_its_status(shell: Shell, commands: Commands, script: str, exit_: Exit) -> None:
    other = shell("exit 9")
    child = shell(script)
    assert exit_of(commands, child) == exit_
    assert exit_of(commands, other) == Exit(status=9)


def test_end_of_one_command_does_not_touch_another(shell: Shell, commands: Commands, guard: Guard) -> None:
    # A process in a kernel session of its own, and one that ignores SIGHUP.
    child = shell("trap '' HUP; setsid sleep 1000 & echo $!; sleep 1000 & echo $!; wait; sleep 1000")
    other = shell("exec sleep 1000")
    pids = pids_of(child, 2)
    commands.end(child)
    assert commands.ending
    commands.end(child)
    wait_for_end(commands)
    assert child.exit == Exit(signal="SIGKILL")
    assert child.fds == [-1, -1, -1]
    wait_until(lambda: not any(map(lives, pids)))
    assert ProcessTree([other.pid]).members() == {other.pid}
    assert live_sessions(guard.lines()) == [other.pid]  # type: ignore[attr-defined]


def test_a_command_that_has_ended_needs_no_termination(shell: Shell, commands: Commands, guard: Guard) -> None:
    child = shell(":")
    exit_of(commands, child)
    commands.end(child)
    assert not commands.ending
    assert guard.lines()[-1] == ended_line(child.pid)  # type: ignore[attr-defined]


def test_end_of_all(shell: Shell, commands: Commands, guard: Guard) -> None:
    children = [shell("exec sleep 1000") for _ in range(3)]
    commands.end(children[0])
    commands.end_all()
    commands.end_all()
    wait_for_end(commands)
    assert {child.exit.signal for child in children if child.exit} <= {"SIGHUP", "SIGKILL"}
    assert live_sessions(guard.lines()) == []  # type: ignore[attr-defined]


def test_group_of_a_command_that_has_ended_is_signalled_only_if_it_has_members(
    shell: Shell, commands: Commands
) -> None:
    child = shell("sleep 1000 & echo $!")
    (pid,) = pids_of(child, 1)
    assert exit_of(commands, child) == Exit(status=0)
    child.signal(signal.SIGTERM)
    wait_until(lambda: not ProcessTree([child.pid]).members())
    child.signal(signal.SIGTERM)
    wait_until(lambda: not lives(pid))

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.process import commands as commands_module
from agent.process.commands import Commands
from agent.process.pipe_child import STDOUT, PipeChild
from agent.process.process_tree import ProcessTree, ended_line, live_sessions
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.protocol.control import Exit
from tests.agents import ROOT
from tests.unit.agent.process.starting import exit_of, launch, wait_for_end
from tests.waiting import PATIENCE, Clock, wait_until

Shell = Callable[[str], PipeChild]


@pytest.fixture
def shell(guard: Guard, commands: Commands) -> Shell:
    """Starts a shell that runs a script."""

    def shell(script: str) -> PipeChild:
        child = PipeChild.start(launch("/bin/sh", "-c", script), guard)
        commands.add(child)
        return child

    return shell


def pids_of(child: PipeChild, count: int) -> list[int]:
    """The numbers that a command writes."""
    output = b""

    def complete() -> bool:
        nonlocal output
        output += b"".join(child.read(STDOUT, lambda: 1000))
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


LEFT = """
sleep 1000 & echo $!
sleep 1000 </dev/null >{log} 2>&1 & echo $!
(trap '' HUP; exec sleep 1000 </dev/null >/dev/null) & echo $!
while ! [ -e {log} ]; do :; done
"""


def test_the_client_of_a_command_with_background_goes_first(
    shell: Shell, commands: Commands, guard: Guard, tmp_path: Path
) -> None:
    child = shell(LEFT.format(log=tmp_path / "log") + "sleep 1000")
    child.background = True
    holds_output, free, holds_errors = pids_of(child, 3)
    wait_until(lambda: os.readlink(f"/proc/{free}/fd/2") == str(tmp_path / "log"))
    commands.end(child)
    wait_for_end(commands)
    wait_until(lambda: not lives(holds_output) and not lives(holds_errors))
    assert ProcessTree([child.pid]).members() == {free}
    assert_guarded_until_they_end(commands, guard, child, [free])


def assert_guarded_until_they_end(commands: Commands, guard: Guard, child: PipeChild, left: list[int]) -> None:
    """The guard knows of a command while processes are left of it. Ends these processes."""
    assert live_sessions(guard.lines()) == [child.pid]  # type: ignore[attr-defined]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(lives, left)))
    other = PipeChild.start(launch("/bin/true"), guard)
    other.background = True
    commands.add(other)
    exit_of(commands, other)
    commands.end(other)
    assert live_sessions(guard.lines()) == []  # type: ignore[attr-defined]


def test_a_command_with_background_ends_by_itself(
    shell: Shell, commands: Commands, guard: Guard, tmp_path: Path
) -> None:
    child = shell(LEFT.format(log=tmp_path / "log"))
    child.background = True
    left = pids_of(child, 3)
    exit_of(commands, child)
    commands.end(child)
    assert not commands.ending
    assert ProcessTree([child.pid]).members() == {*left}
    assert_guarded_until_they_end(commands, guard, child, left)


IN_BACKGROUND = "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!"


def test_what_is_left_in_the_background_ends_with_the_session(shell: Shell, commands: Commands) -> None:
    child = shell(IN_BACKGROUND)
    child.background = True
    (pid,) = pids_of(child, 1)
    exit_of(commands, child)
    commands.end(child)
    assert lives(pid)
    commands.end_all()
    wait_for_end(commands)
    wait_until(lambda: not lives(pid))


def test_a_look_for_what_is_left_that_was_too_soon_comes_later(guard: Guard) -> None:
    clock = Clock()
    commands = Commands(guard, clock, Timeouts(hangup_grace=0))
    pids = [leave_one(commands, guard) for _ in range(2)]
    due = commands.deadline(clock.now)
    assert due == clock.now + Timeouts.left_interval
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(lives, pids)))
    commands.step()
    assert len(live_sessions(guard.lines())) == 2  # type: ignore[attr-defined]
    clock.now = due
    commands.step()
    assert live_sessions(guard.lines()) == []  # type: ignore[attr-defined]


def leave_one(commands: Commands, guard: Guard) -> int:
    """Starts and ends a command that leaves a process in the background. Returns the pid of that process."""
    child = PipeChild.start(launch("/bin/sh", "-c", IN_BACKGROUND), guard)
    child.background = True
    commands.add(child)
    (pid,) = pids_of(child, 1)
    exit_of(commands, child)
    commands.end(child)
    return pid


def test_nothing_is_known_of_what_is_left_if_processes_cannot_be_listed(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands(guard, Clock(), Timeouts(hangup_grace=0))
    with monkeypatch.context() as patch:
        patch.setattr(commands_module, "processes", lambda: None)
        pid = leave_one(commands, guard)
    os.kill(pid, signal.SIGKILL)
    assert live_sessions(guard.lines()) == []  # type: ignore[attr-defined]


def test_the_end_of_all_does_not_touch_a_session_in_which_nothing_is_left(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands(guard, Clock(), Timeouts(hangup_grace=0))
    gone = leave_one(commands, guard)
    left = leave_one(commands, guard)
    sessions = live_sessions(guard.lines())  # type: ignore[attr-defined]
    assert [os.getsid(gone), os.getsid(left)] == sessions
    os.kill(gone, signal.SIGKILL)
    wait_until(lambda: not lives(gone))
    ended: list[int] = []

    def tree(found: list[int], *args: Any, **options: Any) -> ProcessTree:
        ended.extend(found)
        return ProcessTree(found, *args, **options)

    monkeypatch.setattr(commands_module, "ProcessTree", tree)
    commands.end_all()
    wait_for_end(commands)
    assert ended == sessions[1:]
    wait_until(lambda: not lives(left))


def test_a_command_that_has_ended_needs_no_termination(shell: Shell, commands: Commands, guard: Guard) -> None:
    child = shell(":")
    exit_of(commands, child)
    commands.end(child)
    commands.step()
    assert not commands.ending
    assert guard.lines()[-1] == ended_line(child.pid)  # type: ignore[attr-defined]


def test_processes_are_listed_only_if_there_are_new_orphans_and_once_for_many_commands(guard: Guard) -> None:
    """Runs in a process of its own, because it adopts orphans."""
    script = """if True:
        import os, time
        from agent.command.resolve import Launch
        from agent.process import inherited, process_tree
        from agent.process.commands import Commands
        from agent.process.pipe_child import PipeChild
        from agent.timeouts import Timeouts
        from medusa.guard import Guard
        from medusa.protocol.control import Resize

        inherited.adopt_orphans()
        guard = Guard.start(print)
        commands = Commands(guard, time.monotonic, Timeouts(hangup_grace=0))
        listed, find = [], process_tree.processes
        process_tree.processes = lambda proc: listed.append(1) or find(proc)
        def started(script):
            launch = Launch(("/bin/sh", "-c", script), "/", {"PATH": os.environ["PATH"]}, Resize(80, 25))
            child = PipeChild.start(launch, guard)
            commands.add(child)
            return child
        for script in (":", "setsid sh -c 'exec sleep 1000 &'; :", ":"):
            child = started(script)
            while child.exit is None:
                commands.reap()
            commands.end(child)
            commands.step()
            print(bool(listed))
            listed.clear()
        for child in [started("exec sleep 1000") for _ in range(20)]:
            commands.end(child)
        commands.step()
        print(len(listed) < 20)
        commands.end_all()
        while commands.ending:
            commands.step()
        guard.done()
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split() == ["False", "True", "False", "True"], done.stderr


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

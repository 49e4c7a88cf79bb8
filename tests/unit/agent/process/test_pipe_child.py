from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.command.resolve import CANNOT_START, NOT_EXECUTABLE, NOT_FOUND, CannotStart
from agent.process.commands import Commands
from agent.process.inherited import Inherited
from agent.process.pipe_child import STDERR, STDIN, STDOUT, PipeChild
from agent.process.process_tree import ended_line, live_sessions, started_line
from medusa.guard import Guard
from medusa.protocol.control import Exit
from tests.unit.agent.process.starting import exit_of, launch
from tests.waiting import wait_until

Start = Callable[..., PipeChild]


@pytest.fixture
def start(guard: Guard, commands: Commands) -> Start:
    """Starts commands, which end after the test."""

    def start(*argv: str, **env: str) -> PipeChild:
        child = PipeChild.start(launch(*argv, **env), guard)
        commands.add(child)
        return child

    return start


def output(child: PipeChild, sub: int = STDOUT) -> bytes:
    """All of it, to the end of the pipe."""
    found = b""

    def ended() -> bool:
        nonlocal found
        found += ready(child, sub)
        return child.readers[sub].ended

    wait_until(ended)
    return found


def ready(child: PipeChild, sub: int = STDOUT) -> bytes:
    """What is there now."""
    return b"".join(child.read(sub, lambda: 1 << 20))


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def own_children() -> set[int]:
    """The pids of this process's children, also of those that have ended and were not reaped."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
    return found


def test_input_output_and_errors_are_apart(start: Start, commands: Commands, guard: Guard) -> None:
    child = start("/bin/sh", "-c", "cat; echo wrong >&2; exit 3")
    data = bytes(range(256)) * 4 + b"\3\4\n\0\r\n"
    assert ready(child) == b""
    assert child.write(data) == len(data)
    child.close(STDIN)
    assert output(child) == data
    assert output(child, STDERR) == b"wrong\n"
    assert exit_of(commands, child) == Exit(status=3)
    assert guard.lines() == [started_line(child.pid)]  # type: ignore[attr-defined]


def test_full_pipe_takes_no_more(start: Start) -> None:
    child = start("/bin/sleep", "1000")
    data = bytes(1 << 20)
    assert 65536 <= (child.write(data) or 0) < len(data)
    assert child.write(data) == 0


def test_input_that_nothing_reads_any_more(start: Start) -> None:
    child = start("/bin/sh", "-c", "exec <&-; echo; exec sleep 1000")
    wait_until(lambda: ready(child))
    assert child.write(b"x") is None


def test_writer_whose_pipe_is_closed_gets_sigpipe(start: Start, commands: Commands) -> None:
    child = start("/usr/bin/yes")
    child.close(STDOUT)
    assert exit_of(commands, child) == Exit(signal="SIGPIPE")


def test_signal_reaches_the_whole_group(start: Start, commands: Commands) -> None:
    child = start("/bin/sh", "-c", "sleep 1000; :")
    child.signal(signal.SIGTERM)
    assert output(child) == b""
    assert exit_of(commands, child) == Exit(signal="SIGTERM")
    child.signal(signal.SIGTERM)


def test_process_is_as_a_fresh_one(start: Start) -> None:
    script = "cat /proc/self/stat; grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd; pwd"
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    os.set_inheritable(kept := os.dup(leak), True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        child = start("/bin/sh", "-c", script)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        os.close(leak)
        os.close(kept)
    stat, blocked, ignored, *fds, cwd = output(child).decode().splitlines()
    _, _, group, session, terminal = stat.rpartition(")")[2].split()[:5]
    assert int(group) == int(session) == child.pid
    assert terminal == "0"
    valid = sum(1 << number - 1 for number in signal.valid_signals())  # GNU make ignores some that libc reserves
    assert {int(line.split()[1], 16) & valid for line in (blocked, ignored)} == {0}
    assert fds == ["0", "1", "2", "3"]  # the last one is the listing's own
    assert cwd == "/"


def test_limit_of_core_files_comes_back(guard: Guard, commands: Commands) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    inherited = Inherited(limits=((resource.RLIMIT_CORE, (0, hard)),))
    child = PipeChild.start(launch("/bin/sh", "-c", "ulimit -c"), guard, inherited)
    commands.add(child)
    assert output(child) == b"0\n"


@pytest.mark.parametrize(
    ("argv", "cwd", "code", "words"),
    [
        (["/no/such/program"], "/", NOT_FOUND, "/no/such/program: No such file or directory"),
        (["/etc/passwd/x"], "/", NOT_FOUND, "/etc/passwd/x: Not a directory"),
        (["/etc/passwd"], "/", NOT_EXECUTABLE, "/etc/passwd: Permission denied"),
        (["/etc"], "/", NOT_EXECUTABLE, "/etc: Permission denied"),
        (["/bin/true"], "/no/such/place", CANNOT_START, "cannot start in /no/such/place: No such file or directory"),
        (["/bin/true"], "/etc/passwd", CANNOT_START, "cannot start in /etc/passwd: Not a directory"),
        (["/bin/true", "x" * 200_000], "/", CANNOT_START, r"too large for this machine \(200\d\d\d bytes\)"),
        (["/bin/true", "\0"], "/", CANNOT_START, "embedded null byte"),
    ],
)
def test_command_that_cannot_start_leaves_nothing(
    guard: Guard, argv: list[str], cwd: str, code: str, words: str
) -> None:
    before, own = open_fds(), own_children()
    with pytest.raises(CannotStart, match=words) as raised:
        PipeChild.start(launch(*argv, cwd=cwd), guard)
    assert raised.value.code == code
    assert (open_fds(), own_children()) == (before, own)
    lines = guard.lines()  # type: ignore[attr-defined]
    assert live_sessions(lines) == []
    assert lines[-1] == ended_line(int(lines[0].split()[1]))


def test_script_without_an_interpreter(guard: Guard, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo\n")
    script.chmod(0o755)
    with pytest.raises(CannotStart, match="Exec format error") as raised:
        PipeChild.start(launch(str(script)), guard)
    assert raised.value.code == NOT_EXECUTABLE


@pytest.mark.parametrize("free", [0, 3, 5, 7])
def test_no_free_descriptor(guard: Guard, free: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before, used = open_fds(), [os.open(os.devnull, os.O_RDONLY)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used[0] + 16, hard))
        with contextlib.suppress(OSError):
            while True:
                used.append(os.dup(used[0]))
        for _ in range(free):
            os.close(used.pop())
        with pytest.raises(CannotStart, match="Too many open files"):
            PipeChild.start(launch("/bin/true"), guard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in used:
            os.close(fd)
    assert open_fds() == before


def test_closed_pipes(start: Start) -> None:
    child = start("/bin/true")
    child.close(STDERR)
    assert child.fds[STDERR] == -1
    child.close()
    child.close()
    assert child.fds == [-1, -1, -1]

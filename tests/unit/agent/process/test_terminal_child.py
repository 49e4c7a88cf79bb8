from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.process.commands import Commands
from agent.process.process_tree import ProcessTree, started_line, terminate
from agent.process.terminal_child import INPUT_HIGH, INPUT_LOW, PIECE, READ_SIZE, SHORT, TerminalChild
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.protocol.control import Exit, Resize
from tests.unit.agent.process.starting import exit_of, launch
from tests.waiting import Clock, wait_until

RAW = ("/bin/sh", "-c", "stty raw -echo; echo ready; exec sleep 1000")

Start = Callable[..., TerminalChild]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(guard: Guard, clock: Clock, commands: Commands) -> Start:
    """Starts commands, which end after the test."""

    def start(*argv: str) -> TerminalChild:
        child = TerminalChild.start(launch(*argv), guard, clock, Timeouts())
        commands.add(child)
        return child

    return start


def output(child: TerminalChild) -> bytes:
    """All of it, to the end of the terminal."""
    found = b""

    def ended() -> bool:
        nonlocal found
        try:
            found += child.read() or b""
        except EOFError:
            return True
        return False

    wait_until(ended)
    return found


def fill(child: TerminalChild) -> int:
    """Put input until the terminal takes no more; how many bytes were put."""
    wait_until(lambda: child.read() is not None)
    put = 0
    while not child.full:
        child.put(b"x" * 65536)
        put += 65536
        child.write_input()
    return put


def write_until_taken(child: TerminalChild) -> None:
    def taken() -> bool:
        child.write_input()
        return not child.full

    wait_until(taken)


def test_output_and_exit(start: Start, commands: Commands, guard: Guard) -> None:
    child = start("/bin/echo", "hello")
    assert output(child) == b"hello\r\n"
    assert exit_of(commands, child) == Exit(status=0)
    assert guard.lines() == [started_line(child.pid)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("size", "expected"), [(SHORT - 1, (SHORT - 1, 1, False)), (SHORT, (1000, 4, True))])
def test_after_a_short_read_the_terminal_is_not_read_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, size: int, expected: tuple[int, int, bool]
) -> None:
    child = start(*RAW)
    wait_until(child.read)
    reads: list[int] = []

    def read(fd: int, limit: int) -> bytes:
        reads.append(fd)
        return b"x" * min(size, limit)

    monkeypatch.setattr(os, "read", read)
    found = child.read(1000) or b""
    assert (len(found), len(reads), child.more) == expected


def test_output_in_a_stream_is_gathered(start: Start) -> None:
    child = start("/bin/sh", "-c", "stty raw; head -c 4000000 /dev/zero")
    sizes = []

    def ended() -> bool:
        try:
            sizes.append(len(child.read(gather_until=math.inf) or b""))
        except EOFError:
            return True
        return False

    wait_until(ended)
    assert sum(sizes) == 4000000
    # The terminal itself holds less than 5 pieces.
    assert 5 * PIECE < max(sizes) <= READ_SIZE


def test_input_waits_for_a_terminal_that_is_full(start: Start, clock: Clock) -> None:
    child = start(*RAW)
    assert fill(child) > INPUT_HIGH
    assert child.events(reading=False)
    assert child.deadline() == clock.now + 0.05
    child.drop_input()
    assert not child.full
    assert not child.events(reading=False)
    assert child.deadline() is None


def test_full_until_half_of_the_input_is_taken(start: Start, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)  # the command reads nothing before the test opens it
    child = start("/bin/sh", "-c", f"stty raw -echo; echo ready; read go <'{gate}'; exec cat > /dev/null")
    assert fill(child) > INPUT_HIGH
    gate.write_text("\n")
    write_until_taken(child)
    assert len(child._input) <= INPUT_LOW


def test_terminal_that_no_process_has_open_is_read_again_after_a_while(start: Start, clock: Clock) -> None:
    child = start("/bin/true")
    output(child)
    child.retry_later()
    assert child.read() is None
    assert not child.events(reading=True)
    assert child.deadline() == clock.now + 0.2
    clock.now += 0.2
    with pytest.raises(EOFError):
        child.read()
    child.retry_later()
    child.retry_now()
    assert child.events(reading=True)


def test_input_for_a_terminal_that_no_process_has_open_is_dropped(start: Start) -> None:
    child = start("/bin/true")
    output(child)
    child.put(b"x" * (INPUT_HIGH + 1))
    assert child.full
    write_until_taken(child)


def test_closed_terminal(start: Start, commands: Commands) -> None:
    child = start("/bin/true")
    exit_of(commands, child)
    child.resize(Resize(1, 1))
    child.close()
    child.close()
    child.resize(Resize(1, 1))
    assert child.foreground() == []


def test_hang_up_ends_the_foreground_group(start: Start, commands: Commands) -> None:
    child = start("/bin/sleep", "1000")
    assert child.foreground() == [child.pid]
    terminate(ProcessTree([child.pid]))
    assert exit_of(commands, child) == Exit(signal="SIGHUP")

"""What the integration tests do not reach: failures of the spawn itself and the master's edge cases."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.session import process_tree
from agent.session.child import PtyChild
from agent.session.command import CannotStart, Launch
from medusa.guard import Guard
from medusa.protocol.control import Exit, Resize
from tests.waiting import wait_until


class ToldGuard(Guard):
    """Hears what a guard would be told; the pipe is not read by a process."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        super().__init__(-1, writer)

    def heard(self) -> list[str]:
        os.set_blocking(self._reader, False)
        try:
            return os.read(self._reader, 65536).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._reader)
        os.close(self.fd)


@pytest.fixture
def guard() -> Iterator[ToldGuard]:
    guard = ToldGuard()
    yield guard
    guard.close()


def launch(*argv: str, cwd: str = "/") -> Launch:
    return Launch(argv, cwd, {"PATH": os.environ["PATH"]}, Resize(80, 25))


def end(child: PtyChild) -> None:
    child.close()
    wait_until(child.reap)


def output(child: PtyChild) -> bytes:
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


def test_output_and_exit(guard: ToldGuard) -> None:
    child = PtyChild.spawn(launch("/bin/echo", "hello"), guard)
    assert output(child) == b"hello\r\n"
    wait_until(child.reap)
    assert child.exit == Exit(status=0)
    assert child.reap()
    assert guard.heard() == [process_tree.tell_session(child.pid)]
    end(child)


def test_failed_spawn_leaves_no_process_and_is_taken_back_from_the_guard(guard: ToldGuard) -> None:
    with pytest.raises(CannotStart, match="No such file or directory"):
        PtyChild.spawn(launch("/bin/true", cwd="/no/such/place"), guard)
    told, taken_back = guard.heard()
    assert taken_back == process_tree.tell_ended(int(told.split()[1]))
    with pytest.raises(CannotStart, match="not found or was not executable"):
        PtyChild.spawn(launch("/no/such/program"), guard)
    assert guard.heard() == []


def test_master_takes_no_more_than_it_can_and_never_blocks(guard: ToldGuard) -> None:
    child = PtyChild.spawn(launch("/bin/sh", "-c", "stty raw -echo; echo ready; exec sleep 1000"), guard)
    wait_until(child.read)
    data = memoryview(b"x" * (1 << 20))
    taken = 0

    def full() -> bool:
        nonlocal taken
        part = child.write(data)
        taken += part
        return part == 0

    wait_until(full)
    assert 0 < taken < len(data)
    process_tree.end(process_tree.Family(child.pid), 0)
    end(child)
    assert child.exit is not None


def test_closed_terminal(guard: ToldGuard) -> None:
    child = PtyChild.spawn(launch("/bin/true"), guard)
    wait_until(child.reap)
    assert output(child) == b""
    child.resize(Resize(1, 1))
    child.close()
    child.close()
    child.resize(Resize(1, 1))
    assert child.foreground() == []


def test_foreground_group(guard: ToldGuard) -> None:
    child = PtyChild.spawn(launch("/bin/sleep", "1000"), guard)
    assert child.foreground() == [child.pid]
    process_tree.end(process_tree.Family(child.pid), 0)
    end(child)
    assert child.exit == Exit(signal="SIGHUP")

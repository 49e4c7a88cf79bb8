from __future__ import annotations

import os
import queue
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from medusa.client.cleanup import tty_modes
from medusa.client.ledger import Ledger
from medusa.client.terminal.read_ahead import read_ahead
from medusa.client.terminal.tty import Terminal
from tests.waiting import PATIENCE


def silent(modes: list[Any]) -> list[Any]:
    """Returns `modes` as a program sets them that asks for a password."""
    return [*modes[:3], modes[3] & ~termios.ECHO, *modes[4:]]


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A terminal: the keyboard's end, and the program's."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_what_is_typed_is_taken_at_the_end_of_a_line_or_after_a_dot(ends: tuple[int, int]) -> None:
    taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def take(data: bytes) -> bool:
        taken.put(data)
        return data != b"~."

    with Terminal(ends[1], Ledger()) as terminal, read_ahead(terminal, take, lambda: False):
        for typed, read in ((b"line\n", b"line\n"), (b"\x04", b""), (b"~.", b"~.")):
            os.write(ends[0], typed)
            assert taken.get(timeout=PATIENCE) == read
    assert taken.empty()


def test_it_ends_though_nothing_is_typed(ends: tuple[int, int]) -> None:
    with Terminal(ends[1], Ledger()) as terminal, read_ahead(terminal, lambda data: True, lambda: False):
        assert terminal.attentive


def test_a_password_that_another_program_asks_for_is_left_to_it(ends: tuple[int, int]) -> None:
    taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    looks = queue.SimpleQueue[bool]()

    def busy() -> bool:
        looks.put(True)
        return False

    def take(data: bytes) -> bool:
        taken.put(data)
        return True

    with Terminal(ends[1], Ledger(), shared=True) as terminal, read_ahead(terminal, take, busy):
        attentive = termios.tcgetattr(ends[1])
        termios.tcsetattr(ends[1], termios.TCSANOW, silent(attentive))
        assert not terminal.make_raw()
        while not looks.empty():
            looks.get()
        for _ in range(3):
            looks.get(timeout=PATIENCE)  # it has seen the new modes
        os.write(ends[0], b"secret\n")
        looks.get(timeout=PATIENCE)
        assert os.read(ends[1], 10) == b"secret\n"
        termios.tcsetattr(ends[1], termios.TCSANOW, attentive)
        os.write(ends[0], b"line\n")
        assert taken.get(timeout=PATIENCE) == b"line\n"


def test_it_reads_as_soon_as_it_may(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def take(data: bytes) -> bool:
        taken.put(data)
        return False

    with Terminal(ends[1], Ledger()) as terminal:
        with monkeypatch.context() as background:
            background.setattr(tty_modes, "in_foreground", lambda fd: False)
            reading = read_ahead(terminal, take, lambda: False)
            reading.__enter__()
            assert not terminal.attentive
        assert terminal.make_attentive()
        os.write(ends[0], b"~.")
        assert taken.get(timeout=PATIENCE) == b"~."
        reading.__exit__(None, None, None)


def test_what_is_no_terminal_is_not_read(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"x")
    with Terminal(pipe[0], Ledger()) as terminal, read_ahead(terminal, lambda data: pytest.fail("read"), lambda: False):
        pass
    assert os.read(pipe[0], 1) == b"x"


def test_what_another_program_asks_for_is_left_to_it(ends: tuple[int, int]) -> None:
    asked: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def busy() -> bool:
        asked.put(True)
        return True

    with Terminal(ends[1], Ledger()) as terminal, read_ahead(terminal, lambda data: pytest.fail("read"), busy):
        os.write(ends[0], b"answer\n")
        for _ in range(3):
            asked.get(timeout=PATIENCE)
        assert os.read(ends[1], 10) == b"answer\n"

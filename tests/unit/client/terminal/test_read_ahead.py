from __future__ import annotations

import os
import queue
from collections.abc import Iterator

import pytest

from medusa.client.ledger import Ledger
from medusa.client.terminal.read_ahead import read_ahead
from medusa.client.terminal.tty import Terminal
from tests.waiting import PATIENCE


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
        for typed in (b"line\n", b"\x04", b"~."):
            os.write(ends[0], typed)
            assert taken.get(timeout=PATIENCE) == typed
    assert taken.empty()


def test_it_ends_though_nothing_is_typed(ends: tuple[int, int]) -> None:
    with Terminal(ends[1], Ledger()) as terminal, read_ahead(terminal, lambda data: True, lambda: False):
        assert terminal.attentive


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

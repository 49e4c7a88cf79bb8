from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Iterator

import pytest

from medusa.client.ledger import Ledger
from medusa.client.session.ending import SessionEnded
from medusa.client.session.screen import LOW_WATER, MOST_WATER, Screen
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from tests.unit.client.peers import Desk

HIGH = 64 * 1024


class Scene(Desk):
    """A screen, the time that it sees, and what the user does meanwhile."""

    def __init__(self, signals: Signals) -> None:
        super().__init__()
        self.now = 0.0
        self.terminal = Terminal(self.stdin, Ledger())
        self.it = Screen(self.console(self.terminal, signals), lambda: {self.stdin: select.POLLIN}, lambda: self.now)

    def taken(self) -> bytes:
        """What the terminal has, without waiting for more."""
        os.set_blocking(self.screen, False)
        try:
            return os.read(self.screen, 1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def scene(signals: Signals) -> Iterator[Scene]:
    scene = Scene(signals)
    yield scene
    scene.close()


def test_what_is_shown_comes_out_whole_however_slowly_it_is_taken(scene: Scene) -> None:
    data = os.urandom(5 * HIGH)
    taken = b""
    scene.it.show(b"")
    scene.it.show(data)
    while scene.output.pending:
        scene.now += 1.0
        scene.it.write()
        taken += scene.taken()
    assert taken == data


def test_room_is_what_the_agents_side_allows_and_doubles_for_a_terminal_that_takes_all(scene: Scene) -> None:
    assert scene.it.room(HIGH) == HIGH
    scene.it.show(bytes(LOW_WATER))
    assert scene.it.room(HIGH) == HIGH - LOW_WATER
    scene.it.write()
    assert scene.it.room(HIGH) == HIGH, "it has taken all, but that was little"
    scene.taken()
    scene.it.show(bytes(HIGH))
    scene.it.write()
    assert scene.it.room(HIGH) == 2 * HIGH
    scene.taken()
    scene.it.show(b"x")
    scene.it.write()
    assert scene.it.room(HIGH) == 2 * HIGH
    assert scene.it.room(3 * HIGH) == 3 * HIGH


def test_a_swift_terminal_gets_much(scene: Scene) -> None:
    """More than twice what one write takes, and MOST_WATER at most."""
    fcntl.fcntl(scene.stdout, fcntl.F_SETPIPE_SZ, MOST_WATER)
    rooms = []
    for _ in range(6):
        scene.it.show(bytes(scene.it.room(HIGH)))
        scene.it.write()
        scene.taken()
        rooms.append(scene.it.room(HIGH))
    assert rooms == [2 * HIGH, 4 * HIGH, 8 * HIGH, 16 * HIGH, MOST_WATER, MOST_WATER]


def test_a_slow_terminal_is_left_after_a_time_and_gets_what_it_takes_in_twice_this_time(scene: Scene) -> None:
    scene.it.show(bytes(4 * HIGH))
    scene.it.write()
    assert scene.output.pending == 3 * HIGH
    assert scene.it.room(HIGH // 2) == 2 * HIGH - 3 * HIGH
    scene.it.write()
    assert scene.output.pending == 3 * HIGH
    assert scene.it.room(HIGH // 2) == HIGH // 2 - 3 * HIGH


def test_what_the_user_does_interrupts_it(scene: Scene) -> None:
    os.write(scene.keyboard, b"x")
    scene.it.show(bytes(4 * HIGH))
    scene.it.write()
    assert scene.output.pending == 3 * HIGH


def test_a_reader_that_is_gone_ends_the_session(scene: Scene) -> None:
    os.close(scene.screen)
    scene.screen = -1
    scene.it.show(b"x")
    with pytest.raises(SessionEnded, match="standard output"):
        scene.it.write()

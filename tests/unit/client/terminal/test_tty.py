from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios

import pytest

from medusa.client.cleanup import tty_modes
from medusa.client.ledger import Ledger
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal, carried_modes, end_of_file, window_size
from tests.unit.client.peers import Told


def resize(fd: int, columns: int, lines: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def test_size_of_the_first_terminal_that_knows(tty: int, pipe: tuple[int, int]) -> None:
    resize(tty, 132, 43)
    assert window_size((*pipe, tty), {"COLUMNS": "1", "LINES": "1"}) == (132, 43)


@pytest.mark.parametrize(
    ("environ", "size"),
    [
        ({}, (80, 24)),
        ({"COLUMNS": "100", "LINES": "50"}, (100, 50)),
        ({"COLUMNS": "100"}, (100, 24)),
        ({"COLUMNS": "wide", "LINES": "-1"}, (80, 24)),
        ({"COLUMNS": "0", "LINES": "65536"}, (80, 24)),
    ],
)
def test_size_where_no_terminal_knows(tty: int, environ: dict[str, str], size: tuple[int, int]) -> None:
    assert window_size((tty,), environ) == size  # a fresh pty says 0x0


def test_raw_and_back_on_an_error(tty: int) -> None:
    before = termios.tcgetattr(tty)
    told = Told()

    def fail() -> None:
        with Terminal(tty, Ledger(told)) as terminal:
            terminal.make_raw()
            terminal.make_raw()
            assert terminal.raw
            assert termios.tcgetattr(tty) != before
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert termios.tcgetattr(tty) == before
    assert [line[:5] for line in told.lines] == ['["+",', '["-",']


def test_what_is_no_terminal_is_not_touched(pipe: tuple[int, int]) -> None:
    told = Told()
    with Terminal(pipe[0], Ledger(told)) as terminal:
        terminal.make_raw()
        assert not terminal.raw
    assert told.lines == []


def test_a_terminal_that_is_gone_needs_no_restoring() -> None:
    master, slave = os.openpty()
    with Terminal(slave, Ledger()) as terminal:
        terminal.make_raw()
        os.close(master)
        os.close(slave)
    assert not terminal.raw


def test_suspended_cooked_and_raw_again(tty: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = termios.tcgetattr(tty)
    stops: list[tuple[int, bool, object]] = []

    def stop(pid: int, signum: int) -> None:
        assert signum == signal.SIGTSTP
        stops.append((pid, termios.tcgetattr(tty) == before, signal.getsignal(signal.SIGTSTP)))

    with Signals() as signals, Terminal(tty, Ledger()) as terminal:
        terminal.make_raw()
        raw = termios.tcgetattr(tty)
        monkeypatch.setattr(os, "kill", stop)
        terminal.suspend(signals, whole_job=True)
        assert termios.tcgetattr(tty) == raw
        terminal.suspend(signals, whole_job=False)
        assert termios.tcgetattr(tty) == raw
    assert stops == [(0, True, signal.SIG_DFL), (os.getpid(), True, signal.SIG_DFL)]
    assert termios.tcgetattr(tty) == before


def test_raw_again_after_a_stop_that_was_not_ours(tty: int) -> None:
    before = termios.tcgetattr(tty)
    with Terminal(tty, Ledger()) as terminal:
        terminal.make_raw()
        raw = termios.tcgetattr(tty)
        termios.tcsetattr(tty, termios.TCSANOW, before)
        terminal.make_raw_again()
        assert termios.tcgetattr(tty) == raw
    assert termios.tcgetattr(tty) == before


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The last item says whether the process is in the background."""
    states = [True]
    monkeypatch.setattr(tty_modes, "in_foreground", lambda fd: not states[-1])
    return states


def test_in_the_background_no_modes_are_changed(tty: int, background: list[bool]) -> None:
    before = termios.tcgetattr(tty)
    with Terminal(tty, Ledger()) as terminal:
        assert not terminal.make_raw()
        assert terminal.away
        background.append(False)
        assert terminal.make_raw()
        assert not terminal.away
        raw = termios.tcgetattr(tty)
        background.append(True)
        terminal.make_raw_again()  # after SIGCONT
        assert terminal.away
    assert termios.tcgetattr(tty) == raw
    termios.tcsetattr(tty, termios.TCSANOW, before)


def test_modes_are_restored_in_the_foreground_only(tty: int, background: list[bool]) -> None:
    background.append(False)
    told = Told()
    with Terminal(tty, Ledger(told)) as terminal:
        terminal.make_raw()
        raw = termios.tcgetattr(tty)
        background.append(True)
    assert termios.tcgetattr(tty) == raw
    assert [line[:5] for line in told.lines] == ['["+",', '["-",']


def test_a_terminal_with_modes_of_a_pager_is_left_to_it(tty: int) -> None:
    before = termios.tcgetattr(tty)
    pagers = tty_modes.raw(before)
    pagers[6][termios.VMIN] = 7
    with Terminal(tty, Ledger(), shared=True) as terminal:
        termios.tcsetattr(tty, termios.TCSANOW, pagers)
        assert not terminal.make_raw()  # the pager came first
        termios.tcsetattr(tty, termios.TCSANOW, before)
        assert terminal.make_raw()
        assert not terminal.away
        termios.tcsetattr(tty, termios.TCSANOW, pagers)
        assert terminal.away  # it came later
    assert termios.tcgetattr(tty)[6][termios.VMIN] == 7


def test_a_terminal_at_which_a_password_is_asked_for_is_left_to_it(tty: int) -> None:
    before = termios.tcgetattr(tty)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    with Terminal(tty, Ledger(), shared=True) as terminal:
        assert terminal.make_attentive()
        termios.tcsetattr(tty, termios.TCSANOW, silent)
        assert not terminal.make_raw()
        assert termios.tcgetattr(tty) == silent
    termios.tcsetattr(tty, termios.TCSANOW, before)


def test_the_users_modes_are_carried_and_no_others(
    tty: int, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = termios.tcgetattr(tty)
    modes[6][termios.VEOF] = b"\x18"
    termios.tcsetattr(tty, termios.TCSANOW, modes)
    assert end_of_file(carried_modes(tty)) == end_of_file(carried_modes(tty, shared=True)) == b"\x18"
    assert carried_modes(pipe[0]) == {}
    with monkeypatch.context() as background:
        background.setattr(tty_modes, "in_foreground", lambda fd: False)
        assert carried_modes(tty) == {}
    modes[3] &= ~termios.ICANON
    termios.tcsetattr(tty, termios.TCSANOW, modes)
    assert carried_modes(tty)
    assert carried_modes(tty, shared=True) == {}


@pytest.mark.parametrize(("modes", "character"), [({}, b"\x04"), ({5: 24}, b"\x18"), ({5: 255}, b"")])
def test_the_end_of_input_is_the_one_that_the_terminal_knows(modes: dict[int, int], character: bytes) -> None:
    assert end_of_file(modes) == character


def test_raw_mode_after_attention_restores_the_first_modes(tty: int) -> None:
    before = termios.tcgetattr(tty)
    with Terminal(tty, Ledger()) as terminal:
        assert terminal.make_attentive()
        assert terminal.attentive
        assert terminal.away
        assert terminal.make_raw()
        assert not terminal.attentive
    assert termios.tcgetattr(tty) == before

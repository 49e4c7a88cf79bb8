from __future__ import annotations

import os
import termios
from collections.abc import Iterator

import pytest

from medusa.client.cleanup import tty_modes


@pytest.fixture
def tty() -> Iterator[int]:
    master, slave = os.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def test_raw_passes_every_byte_both_ways() -> None:
    master, slave = os.openpty()
    tty_modes.apply(slave, tty_modes.raw(termios.tcgetattr(slave)))
    everything = bytes(range(256))
    os.write(master, everything)
    heard = b""
    while len(heard) < 256:
        heard += os.read(slave, 256)
    os.write(slave, everything)
    echoed = b""
    while len(echoed) < 256:
        echoed += os.read(master, 256)
    os.close(master)
    os.close(slave)
    assert heard == everything
    assert echoed == everything


def test_raw_changes_a_copy(tty: int) -> None:
    before = termios.tcgetattr(tty)
    tty_modes.raw(before)
    assert before == termios.tcgetattr(tty)


def test_restored_from_a_record(tty: int) -> None:
    before = termios.tcgetattr(tty)
    tty_modes.apply(tty, tty_modes.raw(before))
    record = tty_modes.record(tty, before)
    assert "\n" not in record
    assert termios.tcgetattr(tty) != before
    tty_modes.restore_if_unchanged(record)
    assert termios.tcgetattr(tty) == before


def test_modes_that_somebody_else_set_since_are_left_alone(tty: int) -> None:
    before = termios.tcgetattr(tty)
    tty_modes.apply(tty, tty_modes.raw(before))
    record = tty_modes.record(tty, before)
    theirs = termios.tcgetattr(tty)
    theirs[3] |= termios.ECHO
    termios.tcsetattr(tty, termios.TCSANOW, theirs)
    tty_modes.restore_if_unchanged(record)
    assert termios.tcgetattr(tty) == theirs

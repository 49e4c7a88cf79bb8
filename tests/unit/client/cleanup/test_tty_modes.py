from __future__ import annotations

import os
import termios

from medusa.client.cleanup import tty_modes


def test_raw_passes_every_byte_both_ways() -> None:
    ends = os.openpty()
    tty_modes.apply(ends[1], tty_modes.raw(termios.tcgetattr(ends[1])))
    everything = bytes(range(256))
    for reader, writer in (ends, ends[::-1]):
        os.write(writer, everything)
        heard = b""
        while len(heard) < 256:
            heard += os.read(reader, 256)
        assert heard == everything
    for end in ends:
        os.close(end)


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

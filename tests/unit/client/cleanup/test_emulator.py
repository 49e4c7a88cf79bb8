from __future__ import annotations

import os

import pytest

from medusa.client.cleanup.emulator import Emulator, write_undo
from medusa.client.cleanup.note import Note


def test_what_was_undone_is_not_undone_again() -> None:
    emulator = Emulator()
    emulator.feed(b"\x1b[?1049h")
    assert emulator.undo() == b"\x1b[?1049l\x1b[m"
    emulator.undone()
    assert emulator.undo() == b""


def test_what_was_not_written_is_taken_back() -> None:
    emulator = Emulator(note := Note())
    before = emulator.state
    emulator.feed(b"\x1b[?25l")
    emulator.state = before
    assert emulator.undo() == note.read() == b""


def test_the_longest_text_fits_into_the_note() -> None:
    emulator = Emulator(note := Note())
    for number in (*range(100), *range(1000, 1020), 1049, 2004, 2026, 2031, 2048):
        emulator.feed(b"\x1b[?%dh\x1b[?%dl\x1b[?7l\x1b[?25l" % (number, 0 if number != 7 else 7))
        emulator.feed(b"\x1b[%dh\x1b[12l" % number)
    emulator.feed(b"\x1b[>1u\x1b[>4;2m\x1b[1;2r\x1b[5 q\x1b[?1c\x1b=\x0e\x1b(0\x1b]0;title\x07" + b"\x1b[22;2t" * 99)
    assert note.read() == emulator.undo()


def test_the_guard_reads_what_was_noted_last() -> None:
    note = Note()
    emulator = Emulator(note)
    for output in (b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[?25h"):
        emulator.feed(output)
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writer, note.read())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 100) == b"\x1b[?1049l\x1b[m"
    emulator.undone()
    assert note.read() == b""
    os.close(reader)
    os.close(writer)


def test_only_a_terminal_is_written_to(tty: int, pipe: tuple[int, int]) -> None:
    note = Note()
    note.write(b"\x1b[m")
    os.set_blocking(pipe[0], False)
    write_undo(pipe[1], note)
    write_undo(tty, note)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)

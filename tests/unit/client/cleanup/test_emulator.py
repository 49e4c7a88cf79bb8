from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.client.cleanup.emulator import Emulator, write_undo
from medusa.client.cleanup.note import Note


def undo(*pieces: bytes) -> bytes:
    emulator = Emulator()
    for piece in pieces:
        emulator.feed(piece)
    return emulator.undo()


CASES = [
    (b"plain text\r\n", b""),
    (b"\x1b[1;31mred", b"\x1b[m"),
    (b"\x1b[?1049h\x1b[?25l\x1b[?1003;1006h", b"\x1b[?25h\x1b[?1003l\x1b[?1006l\x1b[?1049l\x1b[m"),
    (b"\x1b[?47h", b"\x1b[?47l\x1b[m"),
    (b"\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l", b"\x1b[m"),
    (b"\x1b[?1049h\x1b[?47l", b"\x1b[m"),
    (b"\x1b[?1;1004;2004;2026h\x1b[?7l", b"\x1b[?1l\x1b[?7h\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[m"),
    (b"\x1b[?4711h", b"\x1b[m"),  # nobody knows what is usual
    (b"\x1b[?25l\x1b[?1c", b"\x1b[?25h\x1b[?0c\x1b[m"),  # the Linux console hides its cursor in this way
    (b"\x1b[?25l\x1b[?1c\x1b[?25h\x1b[?0c", b"\x1b[m"),
    (b"\x1b[?12;25h", b"\x1b[?12l\x1b[m"),
    (b"\x1b[?01049h", b"\x1b[?1049l\x1b[m"),
    (b"\x1b[4h\x1b[20h", b"\x1b[4l\x1b[20l\x1b[m"),
    (b"\x1b=", b"\x1b>\x1b[m"),
    (b"\x1b=\x1b>", b"\x1b[m"),
    (b"\x1b[2;10r", b"\x1b7\x1b[r\x1b8\x1b[m"),
    (b"\x1b[2;10r\x1b[r", b"\x1b[m"),
    (b"\x1b[5 q", b"\x1b[0 q\x1b[m"),
    (b"\x1b[>1u", b"\x1b[<99u\x1b[=0u\x1b[m"),
    (b"\x1b[>1u\x1b[<u", b"\x1b[m"),
    (b"\x1b[>1u\x1b[>3u\x1b[<u", b"\x1b[<99u\x1b[=0u\x1b[m"),
    (b"\x1b[>1u\x1b[>3u\x1b[<2u", b"\x1b[m"),
    (b"\x1b[=5;1u", b"\x1b[<99u\x1b[=0u\x1b[m"),
    (b"\x1b[=5u\x1b[=0u", b"\x1b[m"),
    (b"\x1b[>4;2m", b"\x1b[>4m\x1b[m"),
    (b"\x1b(0lqqk", b"\x1b(B\x1b[m"),
    (b"\x0elqqk", b"\x0f\x1b[m"),
    (b"\x0elqqk\x0f", b"\x1b[m"),
    (b"\x1b[?1049h\x1b[?1000h\x1bc", b"\x1b[m"),
    (b"\x1b]0;title [?25l\x07", b"\x1b[m"),
    (b"\x1bPtmux; [?1049h\x1b\\", b"\x1b[m"),
    (b"\x1b]0;unfinished", b"\x1b\\\x1b[m"),
    (b"\x1bPq#0;2\x1b\\\x1b[?25l", b"\x1b[?25h\x1b[m"),
    (b"\x1b[?104", b"\x1b\\\x1b[m"),
]


BYTES = [[byte] for byte in b"hlrqucm()BPX]^_\\\x07\x0e\x0f"]


@pytest.mark.parametrize(("output", "undone"), CASES)
def test_what_was_switched_on_is_undone_wherever_the_output_is_divided(output: bytes, undone: bytes) -> None:
    for at in range(len(output) + 1):
        assert undo(output[:at], output[at:]) == undone


@pytest.mark.parametrize("form", [b"\x1b[?%sh", b"\x1b[%sl", b"\x1b[?%sc", b"\x1b[>%su", b"\x1b[<%su", b"\x1b[=%su"])
@pytest.mark.parametrize("digits", [b"0" * 5000, b"9" * 5000, b"0" * 5000 + b"25"])
def test_a_number_of_thousands_of_digits_is_no_error(form: bytes, digits: bytes) -> None:
    undo(form % digits)


@given(
    st.lists(st.sampled_from([b"\x1b", b"[", b"?", b"<", b">", b"=", b";", b"1049", b"9" * 5000, *map(bytes, BYTES)]))
)
def test_no_output_is_an_error(pieces: list[bytes]) -> None:
    note = Note()
    emulator = Emulator(note)
    for piece in pieces:
        emulator.feed(piece)
    assert note.read() == emulator.undo()


def test_what_was_undone_is_not_undone_again() -> None:
    emulator = Emulator()
    emulator.feed(b"\x1b[?1049h")
    emulator.undone()
    assert emulator.undo() == b""


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

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.terminals.ring import MAX_KEPT, MIN_KEPT, Ring
from medusa.protocol.resume.budget import Budget


def ring_of(*pieces: bytes) -> Ring:
    ring = Ring()
    for piece in pieces:
        ring.append(piece)
    return ring


def shown(ring: Ring, size: int = MAX_KEPT) -> tuple[bytes, bytes]:
    """Returns what is sent before the output, and the output."""
    replay = ring.replay(size)
    return replay.prefix, ring.read(replay.offset, MAX_KEPT)


def boundaries(unit: bytes) -> list[int]:
    """Returns the indices in `unit` at which a character or a sequence begins."""
    whole = rb"\x1b\[[0-9;]*m|\x1b\][^\x07]*\x07|\x1b\(.|[^\x1b\x80-\xbf][\x80-\xbf]*"
    return [found.start() for found in re.finditer(whole, unit)]


def full(begin: bytes, line: bytes) -> Ring:
    """Returns a ring of MIN_KEPT bytes, which has dropped `begin` and at least one `line`."""
    ring = Ring(Budget(0))
    ring.append(begin + line * (MIN_KEPT // len(line) + 2))
    return ring


def test_what_was_never_dropped_is_shown_from_its_first_byte_on() -> None:
    assert shown(ring_of(b"\xa9half a character", b" and more")) == (b"", b"\xa9half a character and more")


def test_offsets_go_on_after_output_was_dropped() -> None:
    ring = full(b"begin", b"line\n")
    assert ring.end - ring.start == MIN_KEPT
    assert ring.read(ring.end - 5, 100) == b"line\n"
    assert ring.read(ring.end, 100) == b""
    assert ring.read(ring.start, 3) == (b"begin" + b"line\n" * 300000)[ring.start :][:3]


@pytest.mark.parametrize("line", [b"line\n", "é漢字😀\r\n".encode(), b"\x1b[1;31mred\x1b[0m\n", b"\x1b]2;title\x07x\n"])
def test_what_is_shown_begins_with_a_line_whatever_was_dropped(line: bytes) -> None:
    for cut in range(len(line)):
        _, output = shown(full(b"x" * cut, line))
        assert output.startswith(line)


@pytest.mark.parametrize("unit", ["é漢字😀".encode(), b"\x1b[1;31mx\x1b[0m", b"\x1b]2;a title\x07y", b"\x1b(0q\x1b(B"])
def test_without_lines_it_begins_with_a_whole_character_or_sequence(unit: bytes) -> None:
    for cut in range(len(unit)):
        prefix, output = shown(full(b"x" * cut, unit), 1000)
        output.decode()
        assert len(output) > 900
        assert any(output.startswith((unit * 2)[at:]) for at in boundaries(unit))
        assert prefix == {b"\x1b[1": b"\x1b[1;31m", b"\x1b(0": b"\x1b(0"}.get(unit[:3], prefix) or output[0] == 0x1B


def test_modes_and_colours_of_what_was_dropped_are_set() -> None:
    ring = full(b"\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[1m\x1b[0;31m\n", b"no more\n")
    assert shown(ring)[0] == b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0;31m"


@pytest.mark.parametrize(
    ("output", "expected"),
    [(b"$ ", True), (b"\x1b[?1049hvi\x1b[?1049l$ ", True), (b"\x1b[?1049hvi", False), (b"$ \x1b]2;a tit", False)],
)
def test_a_note_may_follow_lines_but_not_a_screen_or_the_start_of_a_sequence(output: bytes, expected: bool) -> None:
    assert full(b"", b"line\n").takes_note
    assert ring_of(output).takes_note is expected


def test_colours_from_long_before_are_not_set() -> None:
    ring = ring_of(b"\x1b[31m", b"x" * 5000, b"\x1b[1m\n", b"line\n" * (MAX_KEPT // 5))
    assert shown(ring) == (b"\x1b[1m", b"line\n" * (MAX_KEPT // 5))


def test_a_newline_inside_a_picture_begins_no_line() -> None:
    picture = b"\x1bPq" + b"#0\n" * 9 + b"\x1b\\\nafter\n"
    _, output = shown(ring_of(b"x" * MAX_KEPT, b"\n" + picture), len(picture) - 4)
    assert output == b"\nafter\n"


def test_only_as_much_is_shown_as_was_asked_for() -> None:
    ring = full(b"", b"line\n")
    assert shown(ring, 100)[1] == b"line\n" * 20
    assert shown(ring, 0) == (b"", b"")


def test_memory_that_others_use_shortens_the_ring() -> None:
    memory = Budget(2 * MAX_KEPT)
    ring = Ring(memory)
    memory.use(2 * MAX_KEPT)
    ring.append(b"x" * MAX_KEPT)
    assert ring.end - ring.start == MIN_KEPT
    ring.clear()
    assert memory.used == 2 * MAX_KEPT


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 2000))
def test_no_output_is_an_error(pieces: list[bytes], size: int) -> None:
    ring = full(b"", b"x")
    for piece in (*pieces, b"".join(pieces)):
        ring.append(piece)
    replay = ring.replay(size)
    assert ring.start <= replay.offset <= ring.end

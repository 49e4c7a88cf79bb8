from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.wrap.tail import Tail, format_tail


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 50))
def test_the_last_bytes_are_kept_from_a_line_on(pieces: list[bytes], limit: int) -> None:
    tail, whole = Tail(limit), b"".join(pieces)
    for piece in pieces:
        tail.add(piece)
    kept = tail.bytes()
    assert whole.endswith(kept)
    assert len(kept) <= limit
    if len(whole) <= limit:
        assert kept == whole
    elif b"\n" not in whole[-limit:-1]:
        assert kept == whole[-limit:]


def test_a_terminal_is_shown_lines_of_its_own() -> None:
    assert format_tail(b"a\nb\r\nc", "make") == b"--- last output of: make\r\na\r\nb\r\nc\r\n---\r\n"
    assert format_tail(b"", "make") == b"--- last output of: make\r\n---\r\n"
    assert format_tail(b"\x1b[31mred\n", "x").endswith(b"red\r\n\x1b[m---\r\n")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.record import replace
from medusa.protocol.terminal.tracker import MAX_SEQUENCE, MAX_STACK, MAX_STRING, State, Tracker
from medusa.protocol.terminal.usual import RESET


def followed(*pieces: bytes) -> Tracker:
    tracker = Tracker()
    for piece in pieces:
        tracker.feed(piece)
    return tracker


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
    (b"\x1b[=5u\x1b[=1;3u\x1b[=4;3u", b"\x1b[m"),
    (b"\x1b[=5u\x1b[=0u", b"\x1b[m"),
    (b"\x1b[>4;2m", b"\x1b[>4m\x1b[m"),
    (b"\x1b(0lqqk", b"\x1b(B\x1b[m"),
    (b"\x1b)0", b"\x1b[m"),
    (b"\x0elqqk", b"\x0f\x1b[m"),
    (b"\x0elqqk\x0f", b"\x1b[m"),
    (b"\x1b[?1049h\x1b[?1000h\x1bc", b"\x1b[m"),
    (b"\x1b]0;title [?25l\x07", b"\x1b]0;\x07\x1b[m"),
    (b"\x1b]2;title\x1b\\", b"\x1b]2;\x07\x1b[m"),
    (b"\x1b[22;2t\x1b]2;title\x1b\\", b"\x1b[23;2t\x1b[m"),
    (b"\x1b]2;a\x1b\\\x1b[22;0;0t\x1b]2;b\x07\x1b[23;0;0t", b"\x1b]2;\x07\x1b[m"),
    (b"\x1b[22;1t", b"\x1b[m"),
    (b"\x1b]7;file://host/\x07", b"\x1b[m"),
    (b"\x1bPtmux; [?1049h\x1b\\", b"\x1b[m"),
    (b"\x1b]0;unfinished", b"\x1b\\\x1b[m"),
    (b"\x1bPq#0;2\x1b\\\x1b[?25l", b"\x1b[?25h\x1b[m"),
    (b"\x1b[?104", b"\x1b\\\x1b[m"),
]

SEQUENCES = [output for output, _ in CASES]
PIECES = [b"[", b"?", b"<", b">", b"=", b";", b"1049", b"\x1b", b"9" * 70, b"t" * 300, b"\xc3\xa9", b"\n"]
OUTPUT = st.lists(st.sampled_from(SEQUENCES + PIECES + [bytes([byte]) for byte in b"hlrqucmt()BPX]^_\\\x07\x0e\x0f 2"]))


@pytest.mark.parametrize(("output", "undone"), CASES)
def test_what_was_set_is_undone_wherever_the_output_is_divided(output: bytes, undone: bytes) -> None:
    for at in range(len(output) + 1):
        assert followed(output[:at], output[at:]).undo() == undone


@given(OUTPUT, st.lists(st.integers(0, 400)))
def test_the_state_does_not_depend_on_how_the_output_is_divided(pieces: list[bytes], cuts: list[int]) -> None:
    output = b"".join(pieces)
    ends = [*sorted(cut for cut in cuts if cut < len(output)), len(output)]
    divided = followed(*(output[start:end] for start, end in zip([0, *ends], ends, strict=False)))
    assert divided.state == followed(output).state == followed(*(bytes([byte]) for byte in output)).state


@given(OUTPUT)
def test_what_restores_a_state_gives_this_state_and_what_undoes_it_gives_the_usual_one(pieces: list[bytes]) -> None:
    tracker = followed(b"".join(pieces), b"\x1b\\\x1b[?2026l\x1b[2l")
    restored = followed(tracker.restore())
    assert replace(restored.state, used=True) == tracker.state
    tracker.feed(tracker.undo())
    state = tracker.state
    assert (state.changed, state.screen, state.keyboard) == (frozenset(), 0, (0,))
    assert set(state.others) <= {"g1"}
    assert state.titles in ((b"",), (b"0;",), (b"2;",))


@given(OUTPUT)
def test_an_emulator_in_an_unknown_state_is_reset(pieces: list[bytes]) -> None:
    tracker = followed(b"".join(pieces), RESET)
    assert (tracker.whole, tracker.state.screen) == (True, 0)
    assert {number for mark, number in tracker.state.changed if mark} <= {12, 45, 66, 69, 1001, 1016, 2026, 2031, 2048}


@pytest.mark.parametrize(
    "form", [b"\x1b[?%sh", b"\x1b[%sl", b"\x1b[?%sc", b"\x1b[>%su", b"\x1b[<%su", b"\x1b]2;%s\x07"]
)
@pytest.mark.parametrize("digits", [b"0" * 5000, b"9" * 5000, b"0" * 5000 + b"25"])
def test_a_number_of_thousands_of_digits_is_no_error(form: bytes, digits: bytes) -> None:
    assert followed(form % digits).undo() == b"\x1b[m"


@pytest.mark.parametrize("endless", [b"\x1b[" + b"1;" * 99, b"\x1b]2;" + b"title" * 999, b"\x1b(" + b" " * 999])
def test_a_sequence_without_end_needs_little_memory(endless: bytes) -> None:
    tracker = followed(*[endless[:2]], *[endless[2:]] * 9)
    state = tracker.state
    assert not tracker.whole
    assert len(state.rest) <= MAX_SEQUENCE
    assert len(state.string or b"") <= MAX_STRING + 1


@pytest.mark.parametrize("push", [b"\x1b[>1u", b"\x1b[22;2t"])
def test_stacks_are_bounded(push: bytes) -> None:
    state = followed(push * 999).state
    assert len(state.keyboard) <= MAX_STACK
    assert len(state.titles) <= MAX_STACK


def test_the_end_of_an_unfinished_sequence_is_found() -> None:
    for sequence in (b"\x1b[12;34H", b"\x1b]2;title\x07", b"\x1b(B", b"\x1b[" + b"1;" * 99 + b"m"):
        for at in range(1, len(sequence)):
            tracker, rest = followed(sequence[:at]), sequence[at:] + b"next"
            while not tracker.whole:
                size = tracker.unfinished(rest)
                tracker.feed(rest[:size])
                rest = rest[size:]
            assert rest == b"next", at


def test_a_state_is_a_copy() -> None:
    tracker = followed(b"\x1b[5 q")
    before = tracker.state
    tracker.feed(b"\x1b[2 q\x1b=")
    assert before.others == {"style": b"\x1b[5 q"}
    tracker.state = State()
    assert tracker.undo() == b""

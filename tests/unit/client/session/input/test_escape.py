from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medusa.client.session.input.escape import Action, EscapeScanner, Event, help_text, parse_character, show_character

TYPED = st.lists(st.sampled_from([b"~", b"\r", b"\n", b".", b"?", b"i", b"\x1a", b"x", b"\xc3\xa4", b"\x00"])).map(
    b"".join
)
"""Few symbols, so that escapes are frequent."""


def scan(data: bytes, character: bytes | None = b"~", cuts: frozenset[int] = frozenset()) -> list[Event]:
    scanner = EscapeScanner(character)
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    events: list[Event] = []
    for start, end in itertools.pairwise(bounds):
        events += scanner.feed(data[start:end])
    return joined([*events, scanner.finish()])


def joined(events: list[Event]) -> list[Event]:
    """Neighbouring bytes in one piece, empty ones gone: what a receiver can tell apart."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += event
        elif event:
            result.append(event)
    return result


def reference(data: bytes) -> list[Event]:
    """The rules once more, byte by byte."""
    events: list[Event] = []
    fresh, held = True, False
    for code in data:
        byte = bytes([code])
        if held:
            held = False
            if byte in (b".", b"i", b"?", b"\x1a"):
                events.append(Action(code))
                continue
            events.append(byte if byte == b"~" else b"~" + byte)
        elif fresh and byte == b"~":
            held = True
            continue
        else:
            events.append(byte)
        fresh = byte in (b"\r", b"\n")
    return joined([*events, b"~" if held else b""])


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"~.", [Action.DISCONNECT]),
        (b"~?", [Action.HELP]),
        (b"~i", [Action.INFO]),
        (b"~\x1a", [Action.SUSPEND]),
        (b"~~", [b"~"]),
        (b"~~.", [b"~."]),
        (b"ls\r~.", [b"ls\r", Action.DISCONNECT]),
        (b"ls\n~.", [b"ls\n", Action.DISCONNECT]),
        (b"ls~.", [b"ls~."]),
        (b"~x", [b"~x"]),
        (b"~\r~.", [b"~\r", Action.DISCONNECT]),
        (b"~?~.", [Action.HELP, Action.DISCONNECT]),
        (b"~x~.", [b"~x~."]),
        (b"~ok\r~?rest", [b"~ok\r", Action.HELP, b"rest"]),
        (b"\r~", [b"\r~"]),
        (b"", []),
    ],
)
def test_rules(data: bytes, events: list[Event]) -> None:
    assert scan(data) == events


@given(TYPED)
@example(b"~?~.")
def test_agrees_with_the_rules_taken_byte_by_byte(data: bytes) -> None:
    assert scan(data) == reference(data)


@given(TYPED, st.frozensets(st.integers(0, 40)), st.sampled_from([b"~", b"x", b"\x00", None]))
def test_any_chunking_gives_the_same(data: bytes, cuts: frozenset[int], character: bytes | None) -> None:
    assert scan(data, character, cuts) == scan(data, character)


@given(st.binary(), st.frozensets(st.integers(0, 40)))
def test_without_an_escape_character_every_byte_goes_out(data: bytes, cuts: frozenset[int]) -> None:
    assert scan(data, None, cuts) == joined([data])


@given(TYPED)
def test_no_byte_is_lost(data: bytes) -> None:
    """What was typed can be rebuilt from the events, but for the doubled characters that became one."""
    rebuilt = b"".join(e if isinstance(e, bytes) else b"~" + bytes([e.value]) for e in scan(data))
    assert rebuilt.replace(b"~", b"") == data.replace(b"~", b"")
    assert rebuilt.count(b"~") + reference_doubles(data) == data.count(b"~")


def reference_doubles(data: bytes) -> int:
    return data.count(b"~") - sum(e.count(b"~") if isinstance(e, bytes) else 1 for e in reference(data))


def test_an_escape_character_held_back_is_sent_when_the_next_byte_comes() -> None:
    scanner = EscapeScanner(b"~")
    assert scanner.feed(b"~") == []
    assert scanner.feed(b"x") == [b"~x"]
    assert scanner.finish() == b""


@pytest.mark.parametrize(
    ("text", "character"),
    [("~", b"~"), ("none", None), ("^]", b"\x1d"), ("^a", b"\x01"), ("^?", b"\x7f"), ("%", b"%"), ("^", b"^")],
)
def test_option_values(text: str, character: bytes | None) -> None:
    assert parse_character(text) == character


@pytest.mark.parametrize("text", ["", "ab", "ä", "^ä", ".", "?", "i", "^Z", "^m", "^J", "^~", "None"])
def test_option_values_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not one ASCII character|already means"):
        parse_character(text)


@given(st.integers(0, 127).map(chr))
def test_an_accepted_character_is_shown_as_it_may_be_given(text: str) -> None:
    try:
        character = parse_character(text)
    except ValueError:
        return
    assert character is not None
    assert parse_character(show_character(character)) == character


def test_help_names_the_character_in_use() -> None:
    assert any(line.strip().startswith("^].") for line in help_text(b"\x1d"))

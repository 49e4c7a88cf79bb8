"""Escapes in what the user types, such as `~.`, recognised at the start of a line. Pure: bytes in, events out.

The rules are those of ssh(1): an escape is the escape character, as the very first byte or after CR or LF, and the
byte after it. The doubled character stands for the character itself; everything else is sent as typed.
"""

from __future__ import annotations

import enum
import re


class Action(enum.Enum):
    """What an escape asks for; the value is the byte after the escape character."""

    DISCONNECT = ord(".")
    INFO = ord("i")
    HELP = ord("?")
    SUSPEND = 0x1A


Event = bytes | Action
"""Bytes to send, or what an escape asks for."""

_NEWLINES = b"\r\n"
_ACTIONS = {action.value: action for action in Action}


def parse_character(text: str) -> bytes | None:
    """Parses the option for the escape character: one ASCII character, `^X` for Control-X, or `none` (None).

    Raises:
        ValueError: it is none of these, or a character that already has a meaning in an escape.
    """
    if text == "none":
        return None
    if len(text) == 2 and text[0] == "^" and "?" <= text[1].upper() <= "_":
        character = bytes([ord(text[1].upper()) ^ 0x40])
    elif len(text) == 1 and text.isascii():
        character = text.encode("ascii")
    else:
        raise ValueError(f"{text!r} is not one ASCII character, ^X or none")
    if character[0] in _ACTIONS or character in (b"\r", b"\n"):
        raise ValueError(f"{text!r} already means something else at the start of a line")
    return character


def show_character(character: bytes) -> str:
    """The escape character as people write it: `~`, `^]`."""
    code = character[0]
    return character.decode("ascii") if code >= 0x20 and code != 0x7F else "^" + chr(code ^ 0x40)


def help_text(character: bytes) -> list[str]:
    """The lines that `~?` shows."""
    c = show_character(character)
    return [
        "Supported escape sequences:",
        f" {c}.   disconnect",
        f" {c}^Z  suspend mlogin",
        f" {c}i   show information about this session",
        f" {c}?   this text",
        f" {c}{c}   send the escape character",
        "(Escapes are recognised only immediately after a newline.)",
    ]


class EscapeScanner:
    """Splits typed bytes into bytes to send and actions. How the bytes are divided among the calls makes no difference.

    Args:
        character: the escape character; None for none.
    """

    def __init__(self, character: bytes | None) -> None:
        self._character = character
        self._boundary = re.compile(b"[\r\n]" + re.escape(character)) if character else None
        self._at_line_start = True
        self._held = False

    def feed(self, data: bytes) -> list[Event]:
        """The events in `data`, in order. An escape character at the end is held back until its next byte comes."""
        if self._boundary is None:
            return [data] if data else []
        events: list[Event] = []
        position = 0
        while position < len(data):
            if self._held:
                _append(events, self._command(data[position]))
                position += 1
            elif self._at_line_start and data[position : position + 1] == self._character:
                self._held = True
                position += 1
            else:
                found = self._boundary.search(data, position)
                end = found.end() - 1 if found else len(data)
                self._at_line_start = data[end - 1] in _NEWLINES
                _append(events, data[position:end])
                position = end
        return events

    def finish(self) -> bytes:
        """Call at the end of input. Returns the escape character that was held back, if any."""
        held, self._held = self._held, False
        return self._character if held and self._character else b""

    def _command(self, code: int) -> Event:
        assert self._character is not None
        self._held = False
        if code in _ACTIONS:
            return _ACTIONS[code]  # nothing was sent, so the line is still at its start
        self._at_line_start = code in _NEWLINES
        typed = bytes([code])
        return typed if typed == self._character else self._character + typed


def _append(events: list[Event], event: Event) -> None:
    if events and isinstance(event, bytes) and isinstance(events[-1], bytes):
        events[-1] += event
    else:
        events.append(event)

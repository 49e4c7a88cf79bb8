"""Finds escapes such as `~.` in the bytes that the user types. No I/O.

The rules are those of ssh(1). An escape consists of the escape character and the byte after it. It is recognised only
at the start of a line: as the very first byte, or after CR or LF. If the user types the escape character twice there,
it is sent once. If the byte after the escape character asks for no action, both bytes are sent. All other bytes are
sent as typed.
"""

from __future__ import annotations

import enum
import re


class Action(enum.Enum):
    """The actions that an escape can ask for. The value is the byte after the escape character."""

    DISCONNECT = ord(".")
    DETACH = ord("d")
    INFO = ord("i")
    HELP = ord("?")
    SUSPEND = 0x1A


Event = bytes | Action
"""What EscapeScanner finds in the typed bytes: bytes to send to the agent, or the action that an escape asks for."""

_NEWLINES = b"\r\n"
_ACTIONS = {action.value: action for action in Action}


def parse_character(text: str) -> bytes | None:
    """Parses the option for the escape character. Returns the character, or None if `text` is `none`.

    Args:
        text: one ASCII character, `^X` for Control-X, or `none`.

    Raises:
        ValueError: `text` has another form, or the character already has a meaning in escapes.
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
    """Returns the escape character in the form that is shown to the user, such as `~` or `^]`."""
    code = character[0]
    return character.decode("ascii") if code >= 0x20 and code != 0x7F else "^" + chr(code ^ 0x40)


def help_text(character: bytes) -> list[str]:
    """Returns the lines that the escape `~?` (help) shows."""
    c = show_character(character)
    return [
        "Supported escape sequences:",
        f" {c}.   disconnect",
        f" {c}d   detach: leave, and let the job run on",
        f" {c}^Z  suspend mlogin",
        f" {c}i   show information about this session",
        f" {c}?   this text",
        f" {c}{c}   send the escape character",
        "(Escapes are recognised only immediately after a newline.)",
    ]


class EscapeScanner:
    """Separates the typed bytes into bytes to send and actions.

    The typed bytes may be divided among the calls of `feed` in any way.

    Args:
        character: the escape character; None to recognise no escapes.
    """

    def __init__(self, character: bytes | None) -> None:
        self._character = character
        self._boundary = re.compile(b"[\r\n]" + re.escape(character)) if character else None
        self._at_line_start = True
        self._held = False

    def feed(self, data: bytes) -> list[Event]:
        """Returns the events in `data`, in order: bytes to send, and actions.

        An escape character at the end of `data` waits for the next call.
        """
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
        """Returns the escape character that `feed` has kept back; b"" if there is none. Call it at the end of input."""
        held, self._held = self._held, False
        return self._character if held and self._character else b""

    def _command(self, code: int) -> Event:
        assert self._character is not None
        self._held = False
        if code in _ACTIONS:
            return _ACTIONS[code]  # nothing was sent, so the next byte is still at the start of the line
        self._at_line_start = code in _NEWLINES
        typed = bytes([code])
        return typed if typed == self._character else self._character + typed


def _append(events: list[Event], event: Event) -> None:
    if events and isinstance(event, bytes) and isinstance(events[-1], bytes):
        events[-1] += event
    else:
        events.append(event)

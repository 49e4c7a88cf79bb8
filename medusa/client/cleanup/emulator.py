"""Undoes what a session's output has switched on in the user's terminal emulator, if the session ends abnormally.

A program in the session that is killed cannot leave the alternate screen, show the cursor again or switch off mouse
reporting. So mlogin does it. The class Emulator reads the output and keeps a list of what the output has switched on.
Only what is on this list is undone: a terminal may misread a sequence that undoes a feature which it does not know.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import select

from medusa.client.cleanup.note import Note

PRIVATE_MODES = {
    1: False,  # the cursor keys send other sequences
    5: False,  # reverse video
    6: False,  # lines are counted from the scroll region's first
    7: True,  # long lines wrap
    9: False,  # mouse reporting, also 1000 to 1016
    12: False,  # the cursor blinks
    25: True,  # the cursor is visible
    45: False,  # reverse wrap
    66: False,  # the keypad sends sequences
    69: False,  # left and right margins
    **dict.fromkeys((1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016), False),  # 1004: focus events
    2004: False,  # bracketed paste
    2026: False,  # the screen is not updated
    2031: False,  # reports of the colour scheme
    2048: False,  # reports of the window's size
}
"""The DEC private modes that are undone, and for each the value that it has in a terminal that was just opened."""

SCREENS = (47, 1047, 1049)
"""The private modes that switch on the alternate screen. Each of them can also switch this screen off."""

ANSI_MODES = {2: False, 4: False, 12: True, 20: False}
"""The modes of ANSI that are undone, and for each the value that it has in a terminal that was just opened.

2: the keyboard is locked. 4: typed text is inserted. 12: there is no local echo. 20: LF includes CR.
"""

WRITE_TIMEOUT = 1.0
"""Seconds that `write_undo` waits until the terminal accepts bytes.

It has to wait because another program may be writing: meanwhile poll reports that the terminal accepts no bytes.
"""

_ESCAPE = b"\x1b"
_SHIFT, _UNSHIFT = b"\x0e", b"\x0f"
_LONGEST = 64
_MAX_PUSHES = 99

_SEQUENCE = re.compile(
    rb"\x1b(?!\[[0-9;]*m)(?:"
    rb"\[(?P<mark>\??)(?P<modes>[0-9;]+)(?P<end>[hl])"
    rb"|\[\?(?P<shape>[0-9;]*)c"
    rb"|\[(?P<region>[0-9;]*)r"
    rb"|\[(?P<style>[0-9]*) q"
    rb"|\[(?P<kitty>[<=>][0-9;]*)u"
    rb"|\[>4(?P<keys>(?:;[0-9]*)?)m"
    rb"|(?P<charset>\([^\x1b])"
    rb"|(?P<simple>[=>c])"
    rb"|(?P<string>[\]PX^_k])"
    rb")"
)
"""Matches the escape sequences whose effect Emulator keeps in its State.

Sequences for colours are not among them, because `undo` always resets the colours. The lookahead at the start excludes
them quickly: coloured output has many thousands of them.
"""

_STRING_END = re.compile(rb"[\x07\x18\x1a\x1b]")
_UNFINISHED = re.compile(rb"\x1b(?:\[[<=>?!]?[0-9;:]*[ -/]?|\()?\Z")


@dataclasses.dataclass
class State:
    """What the output has changed in a terminal emulator, and whether the output has ended inside a sequence.

    Attributes:
        used: True if the output contained any escape sequence. The output may then have set colours, which have no
            attribute here.
        changed: the modes that do not have their usual value, each as a pair: b"?" for a private mode or b"" for one
            of ANSI's, and the mode's number.
        screen: the number of the mode that has switched on the alternate screen; 0 if this screen is off.
        others: for each kind of change that is not a mode: the bytes that undo it.
        pushes: how many entries the output has put on the stack of kitty's keyboard modes and not taken off again.
        in_string: True if the output ended inside a string, such as a window's title.
        rest: the beginning of a sequence, if the output ended inside that sequence; otherwise b"".
    """

    used: bool = False
    changed: frozenset[tuple[bytes, int]] = frozenset()
    screen: int = 0
    others: dict[str, bytes] = dataclasses.field(default_factory=dict)
    pushes: int = 0
    in_string: bool = False
    rest: bytes = b""


class Emulator:
    """The state of the user's terminal emulator, as far as the session's output has changed it.

    Args:
        note: always contains the bytes that undo the changes. If this process is killed, the guard process writes them
            to the terminal. None if there is no guard process.
    """

    def __init__(self, note: Note | None = None) -> None:
        self._note = note
        self._noted = b""
        self._state = State()

    @property
    def state(self) -> State:
        """A copy of the state. If bytes were passed to `feed` and then not written, set the copy from before."""
        return dataclasses.replace(self._state, others=self._state.others.copy())

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._write_note()

    def ignores(self, data: bytes) -> bool:
        """True if `feed(data)` would change nothing, because `data` are plain text."""
        state = self._state
        return not (state.in_string or state.rest or _ESCAPE in data or _SHIFT in data or _UNSHIFT in data)

    def feed(self, data: bytes) -> None:
        """Follows bytes that were written to the terminal. They may be divided among the calls in any way."""
        if _SHIFT in data or _UNSHIFT in data:
            self._state.used = True
            self._state.others["shift"] = _UNSHIFT if data.rfind(_SHIFT) > data.rfind(_UNSHIFT) else b""
        if self._state.in_string or self._state.rest or _ESCAPE in data:
            self._follow(data)
        self._write_note()

    def _follow(self, data: bytes) -> None:
        data = self._state.rest + data
        self._state.used = True
        self._state.rest = b""
        at = 0
        while at < len(data):
            found = (_STRING_END if self._state.in_string else _SEQUENCE).search(data, at)
            if found is None:
                break
            at = found.end()
            if self._state.in_string:
                self._state.in_string = False
                at -= found.group() == _ESCAPE  # it begins the next sequence
            else:
                self._take(found)
        if not self._state.in_string and (tail := _UNFINISHED.search(data, max(at, len(data) - _LONGEST))):
            self._state.rest = tail.group()

    def undo(self) -> bytes:
        """Returns the bytes that undo all changes; b"" if the output cannot have changed anything."""
        state = self._state
        if not state.used:
            return b""
        others = state.others.get
        return b"".join(
            [
                b"\x1b\\" if state.in_string or state.rest else b"",  # otherwise it would swallow what follows
                others("kitty", b""),
                others("keys", b""),
                *(_mode(mark, number, _usual(mark)[number]) for mark, number in sorted(state.changed)),
                others("region", b""),
                # This restores a cursor and its colours, so that the rest comes after it. Each of the two screens has
                # kitty's keyboard modes of its own.
                _mode(b"?", state.screen, False) + others("kitty", b"") if state.screen else b"",
                *(others(name, b"") for name in ("style", "shape", "simple", "shift", "charset")),
                b"\x1b[m",
            ]
        )

    def undone(self) -> None:
        """Forgets all changes. Call this after the bytes of `undo` were written, or if they must not be written."""
        self.state = State()

    def _take(self, found: re.Match[bytes]) -> None:
        kind = str(found.lastgroup)
        if kind == "end":
            for number in found["modes"].split(b";"):
                self._set(found["mark"], _value(number), found["end"] == b"h")
        elif kind == "string":
            self._state.in_string = True
        elif kind == "kitty":
            self._set_keyboard(found[kind][:1], _value(found[kind][1:].partition(b";")[0]))
        elif found[kind] == b"c" and kind == "simple":  # the terminal is reset
            self._state.changed = frozenset()
            self._state.others.clear()
            self._state.pushes = self._state.screen = 0
        elif found[kind] in _USUAL.get(kind, ()):
            self._state.others.pop(kind, None)
        else:
            self._state.others[kind] = _UNDO[kind]

    def _set(self, mark: bytes, number: int, on: bool) -> None:
        if mark and number in SCREENS:
            self._state.screen = number if on else 0
        elif _usual(mark).get(number, on) != on:
            self._state.changed |= {(mark, number)}
        else:
            self._state.changed -= {(mark, number)}

    def _set_keyboard(self, mark: bytes, value: int) -> None:
        """Follows a sequence of kitty's keyboard protocol: `>` pushes modes, `<` pops `value` times, `=` sets modes."""
        state = self._state
        if mark == b">":
            state.pushes = min(state.pushes + 1, _MAX_PUSHES)
        elif mark == b"<":
            state.pushes = max(0, state.pushes - (value or 1))
        set_here = value != 0 if mark == b"=" else mark == b"<" and "kitty" in state.others and state.pushes > 0
        if state.pushes or set_here:
            state.others["kitty"] = _UNDO["kitty"]
        else:
            state.others.pop("kitty", None)

    def _write_note(self) -> None:
        if self._note is not None and (undo := self.undo()) != self._noted:
            self._noted = undo
            self._note.write(undo)


def write_undo(fd: int, note: Note) -> None:
    """Writes the text of `note` to the terminal `fd`, if the terminal takes bytes within WRITE_TIMEOUT.

    The guard process calls this after mlogin was killed.
    """
    undo = note.read()
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    with contextlib.suppress(OSError):
        if undo and os.isatty(fd) and poller.poll(WRITE_TIMEOUT * 1000):
            os.write(fd, undo)


def _value(digits: bytes) -> int:
    """Returns the number that `digits` means; 0 if there are no digits.

    If there are more than 9 digits, the others are ignored. The result is wrong, but no mode has such a large number.
    """
    return int(digits.lstrip(b"0")[:9] or b"0")


def _usual(mark: bytes) -> dict[int, bool]:
    return PRIVATE_MODES if mark else ANSI_MODES


def _mode(mark: bytes, number: int, on: bool) -> bytes:
    return b"\x1b[%s%d%s" % (mark, number, b"h" if on else b"l")


_USUAL = {
    "region": (b"",),
    "style": (b"", b"0"),
    "shape": (b"", b"0"),
    "keys": (b"", b";", b";0"),
    "charset": (b"(B",),
    "simple": (b">",),
}
"""Name of a group in _SEQUENCE -> the texts of this group that set the usual state, so that nothing is to be undone."""

_UNDO = {
    "region": b"\x1b7\x1b[r\x1b8",  # without the region the cursor would jump, so it is saved and restored
    "style": b"\x1b[0 q",
    "shape": b"\x1b[?0c",
    "kitty": b"\x1b[<99u\x1b[=0u",
    "keys": b"\x1b[>4m",
    "charset": b"\x1b(B",
    "simple": b"\x1b>",
}
"""Name of a group in _SEQUENCE -> the bytes that undo every sequence which this group matches."""

"""The usual state of a terminal emulator: the values of its modes, and the escape sequences that restore this state."""

from __future__ import annotations

from typing import Dict, Tuple

PRIVATE_MODES: Dict[int, bool] = {
    1: False,  # the cursor keys send other sequences
    5: False,  # reverse video
    6: False,  # lines are numbered from the top of the scroll region
    7: True,  # long lines wrap
    9: False,  # mouse reporting
    12: False,  # the cursor blinks
    25: True,  # the cursor is visible
    45: False,  # reverse wrap
    66: False,  # the keypad sends other sequences
    69: False,  # left and right margins
    **dict.fromkeys((1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016), False),  # mouse; 1004: focus
    2004: False,  # bracketed paste
    2026: False,  # the screen is not updated until this is switched off
    2031: False,  # changes of the colour scheme are reported
    2048: False,  # changes of the window's size are reported
}
"""The DEC private modes that are followed, and for each the value that it has in a terminal that was just opened."""

SCREENS = (47, 1047, 1049)
"""The private modes that switch on the alternate screen. Each of them can also switch this screen off."""

ANSI_MODES: Dict[int, bool] = {2: False, 4: False, 12: True, 20: False}
"""The modes of ANSI that are followed, and for each the value that it has in a terminal that was just opened.

2: the keyboard is locked. 4: typed text is inserted. 12: there is no local echo. 20: LF includes CR.
"""

USUAL: Dict[str, Tuple[bytes, ...]] = {
    "region": (b"\x1b[r",),
    "style": (b"\x1b[ q", b"\x1b[0 q"),
    "shape": (b"\x1b[?c", b"\x1b[?0c"),
    "keys": (b"\x1b[>4m", b"\x1b[>4;m", b"\x1b[>4;0m"),
    "g0": (b"\x1b(B",),
    "g1": (b"\x1b)B",),
    "keypad": (b"\x1b>",),
    "shift": (b"\x0f",),
}
"""Kind of change that is not a mode -> the sequences that set the usual state, so that nothing is to be undone."""

UNDO: Dict[str, bytes] = {
    "region": b"\x1b7\x1b[r\x1b8",  # a change of the region moves the cursor, so its place is saved
    "style": b"\x1b[0 q",
    "shape": b"\x1b[?0c",
    "keys": b"\x1b[>4m",
    "keypad": b"\x1b>",
    "shift": b"\x0f",
    "g0": b"\x1b(B",
    # g1 is left out: terminals differ in its usual character set, and it is not in use after "shift" was undone.
}
"""Kind of change that is not a mode -> the bytes that undo each change of this kind."""

UNDO_KEYBOARD = b"\x1b[<99u\x1b[=0u"
"""Undoes all changes by kitty's keyboard protocol on the screen that is shown."""

STRING_END = b"\x1b\\"

RESET = (
    STRING_END
    + b"\x1b[?47l\x1b7\x1b[?6l\x1b[r\x1b8\x1b[?1;5;9;1000;1002;1003;1004;1005;1006;1015;2004l\x1b[?7;25h\x1b[4l"
    + b"\x1b>\x0f\x1b(B\x1b[m"
)
"""Brings a terminal emulator whose state is not known into the usual state. The cursor stays where it is.

It has only sequences that every emulator knows, or ignores without a trace.
"""


def usual(mark: bytes) -> Dict[int, bool]:
    """Returns the usual values of modes, by the number of the mode.

    `mark`: b"?" for private modes, b"" for ANSI modes.
    """
    return PRIVATE_MODES if mark else ANSI_MODES


def mode(mark: bytes, number: int, on: bool) -> bytes:
    """Returns the sequence that switches a mode on or off. `mark`: b"?" for a private mode, b"" for an ANSI mode."""
    return b"\x1b[%s%d%s" % (mark, number, b"h" if on else b"l")

"""Follows the output of programs, and remembers what the output has changed in the terminal emulator that shows it.

Returns the bytes that undo the changes, or that repeat them in another emulator. Text and its colours are not followed.
"""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Match, Optional, Tuple

from medusa.protocol.record import field, record
from medusa.protocol.terminal.usual import SCREENS, STRING_END, UNDO, UNDO_KEYBOARD, USUAL, mode, usual

MAX_SEQUENCE = 64
"""The limit of a sequence's length, in bytes. The effect of a longer one is not known."""

MAX_STRING = 512
"""The limit of a title, in bytes. The effect of a longer string is not known."""

MAX_STACK = 16
"""The limit of entries on each stack: of keyboard modes, and of titles. Emulators have such limits, too."""

_ESCAPE = b"\x1b"
_SHIFT, _UNSHIFT = b"\x0e", b"\x0f"
_NOT_RESTORED = ((b"?", 2026), (b"", 2))  # if a killed program left them on, the screen or the keys would be dead

_SEQUENCE = re.compile(
    rb"\x0e|\x0f|\x1b(?!\[[0-9;:]*m)(?:"
    rb"\[(?P<mark>\??)(?P<modes>[0-9;]+)(?P<end>[hl])"
    rb"|(?P<shape>\[\?[0-9;]*c)"
    rb"|(?P<region>\[[0-9;]*r)"
    rb"|(?P<style>\[[0-9]* q)"
    rb"|\[(?P<keyboard>[<=>][0-9;]*)u"
    rb"|\[(?P<titles>2[23](?:;[0-9;]*)?)t"
    rb"|(?P<keys>\[>4(?:;[0-9]*)?m)"
    rb"|(?P<g0>\([ -/]?[0-~])"
    rb"|(?P<g1>\)[ -/]?[0-~])"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<reset>c)"
    rb"|(?P<string>[\]PX^_k])"
    rb")"
)
"""Matches the sequences whose effect Tracker keeps in its State.

Sequences for colours are not among them. The lookahead excludes them quickly: coloured output has many thousands.
"""

_STRING_END = re.compile(rb"[\x07\x18\x1a\x1b]")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[ -/]+)?\Z")
_WHOLE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[ -/]*[0-~]?)")
_REST = re.compile(rb"[ -?]*[@-~]?")
_FINAL = re.compile(rb"[@-~]")
_TITLE = re.compile(rb"[02];")


@record(frozen=False)
class State:
    """Holds what the output has changed in a terminal emulator, and whether the output has ended inside a sequence.

    Attributes:
        used: True if the output contained any escape sequence. The output may then have set colours, which have no
            attribute here.
        changed: the modes that do not have their usual value, each as a pair: b"?" for a private mode or b"" for an
            ANSI mode, and the mode's number.
        screen: the number of the mode that has switched on the alternate screen; 0 if this screen is off.
        others: the changes that are not modes: kind of change (a key of USUAL) -> the sequence that has made the
            change.
        keyboard: the stack of kitty's keyboard modes. The last entry is in effect.
        titles: the stack of the window's titles, each as in the sequence that has set it; b"" for a title that was not
            set. The last entry is shown.
        string: the beginning of a string, such as a title, if the output ended inside that string; otherwise None.
        rest: the beginning of a sequence, if the output ended inside that sequence; otherwise b"".
        overlong: True if the output ended inside a sequence that is longer than MAX_SEQUENCE.
    """

    used: bool = False
    changed: FrozenSet[Tuple[bytes, int]] = frozenset()
    screen: int = 0
    others: Dict[str, bytes] = field(default_factory=dict)
    keyboard: Tuple[int, ...] = (0,)
    titles: Tuple[bytes, ...] = (b"",)
    string: Optional[bytes] = None
    rest: bytes = b""
    overlong: bool = False


class Tracker:
    """Follows output that is passed to `feed`, and holds the state of the terminal emulator that shows this output."""

    def __init__(self) -> None:
        self._state = State()

    @property
    def state(self) -> State:
        """A copy of the state."""
        state = State.__new__(State)  # not by `replace`, which takes as long as all else of a write
        vars(state).update(vars(self._state), others=self._state.others.copy())
        return state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    @property
    def whole(self) -> bool:
        """True if the output so far does not end inside a sequence or a string."""
        state = self._state
        return state.string is None and not state.rest and not state.overlong

    def unfinished(self, data: bytes) -> int:
        """Returns how many bytes of `data`, the next output, belong to the sequence that the output so far has begun.

        Call it only if `whole` is False and `data` is not empty. The last of these bytes may also be the first byte of
        another sequence.
        """
        state = self._state
        if state.string is not None:
            found = _STRING_END.search(data)
            return len(data) if found is None else found.end()
        found = (_REST if state.overlong else _WHOLE).match(state.rest + data)
        return max(1, found.end() - len(state.rest)) if found is not None else len(data)

    def ignores(self, data: bytes) -> bool:
        """True if `feed(data)` would change nothing, because `data` are plain text."""
        return self.whole and not (_ESCAPE in data or _SHIFT in data or _UNSHIFT in data)

    def feed(self, data: bytes) -> None:
        """Processes the next piece of output. A piece may begin and end anywhere, also inside a sequence."""
        state = self._state
        if self.ignores(data):
            return
        state.used = True
        data, state.rest = state.rest + data, b""
        at = self._skip_overlong(data) if state.overlong else 0
        while at < len(data):
            at = self._next(data, at) if self._state.string is None else self._end_string(data, at)

    def undo(self) -> bytes:
        """Returns the bytes that bring the emulator back to its state before the output.

        Returns b"" if the output cannot have changed the state.
        """
        state = self._state
        if not state.used:
            return b""
        undone = {kind: UNDO[kind] for kind in state.others if kind in UNDO}.get
        keyboard = UNDO_KEYBOARD if state.keyboard != (0,) else b""
        return b"".join(
            [
                b"" if self.whole else STRING_END,  # an unfinished sequence would swallow what follows
                keyboard,
                undone("keys", b""),
                *(mode(mark, number, usual(mark)[number]) for mark, number in sorted(state.changed)),
                undone("region", b""),
                # The end of the alternate screen restores an old cursor and old colours, so these are reset later. Each
                # screen has its own stack of kitty's keyboard modes, so they are undone on both.
                mode(b"?", state.screen, False) + keyboard if state.screen else b"",
                *(undone(kind, b"") for kind in ("style", "shape", "keypad", "shift", "g0")),
                b"\x1b[23;2t" * (len(state.titles) - 1),
                b"\x1b]%s;\x07" % state.titles[0][:1] if state.titles[0] else b"",
                b"\x1b[m",
            ]
        )

    def restore(self) -> bytes:
        """Returns the bytes that bring an emulator from its usual state into this state. They set no colours."""
        state = self._state
        changed = [pair for pair in sorted(state.changed) if pair not in _NOT_RESTORED]
        return b"".join(
            [
                *(b"\x1b]%s\x07\x1b[22;2t" % title if title else b"\x1b[22;2t" for title in state.titles[:-1]),
                b"\x1b]%s\x07" % state.titles[-1] if state.titles[-1] else b"",
                mode(b"?", state.screen, True) if state.screen else b"",
                state.others.get("region", b""),
                *(mode(mark, number, not usual(mark)[number]) for mark, number in changed),
                *(state.others[kind] for kind in sorted(state.others) if kind != "region"),
                b"\x1b[=%du" % state.keyboard[0] if state.keyboard[0] else b"",
                *(b"\x1b[>%du" % flags for flags in state.keyboard[1:]),
            ]
        )

    # ------------------------------------------------------------------ sequences

    def _next(self, data: bytes, at: int) -> int:
        """Processes the next sequence in `data`, from the index `at` on. Returns the index at which to continue."""
        found = _SEQUENCE.search(data, at)
        if found is not None:
            self._take(found)
            return found.end()
        start = data.rfind(_ESCAPE, at)
        if start >= 0 and _UNFINISHED.match(data, start):
            self._state.overlong = len(data) - start > MAX_SEQUENCE
            self._state.rest = b"" if self._state.overlong else data[start:]
        return len(data)

    def _skip_overlong(self, data: bytes) -> int:
        found = _REST.match(data)
        size = found.end() if found is not None else 0
        self._state.overlong = size == len(data) and not _FINAL.match(data[-1:])
        return size

    def _end_string(self, data: bytes, at: int) -> int:
        """Looks for the end of a string, from the index `at` of `data` on. Returns the index at which to continue."""
        state = self._state
        found = _STRING_END.search(data, at)
        end = len(data) if found is None else found.start()
        string = (state.string or b"") + data[at : min(end, at + MAX_STRING)]
        state.string = string[: MAX_STRING + 1]
        if found is None:
            return end
        state.string = None
        if string[:1] == b"]" and _TITLE.match(string, 1) and len(string) <= MAX_STRING:
            state.titles = (*state.titles[:-1], string[1:])
        return end if found.group() == _ESCAPE else found.end()  # an ESC begins the next sequence

    def _take(self, found: Match[bytes]) -> None:
        kind = found.lastgroup
        if found.end() - found.start() > MAX_SEQUENCE:
            return
        if kind is None:
            self._set_other("shift", found.group())
        elif kind == "end":
            for number in found["modes"].split(b";"):
                self._set(found["mark"], _value(number), found["end"] == b"h")
        elif kind == "string":
            self._state.string = found["string"]
        elif kind == "keyboard":
            self._set_keyboard(found[kind][:1], *map(_value, (found[kind][1:] + b";").split(b";")[:2]))
        elif kind == "titles":
            self._set_titles(*map(_value, (found[kind] + b";").split(b";")[:2]))
        elif kind == "reset":
            self._state = State(used=True)
        else:
            self._set_other(kind, found.group())

    def _set(self, mark: bytes, number: int, on: bool) -> None:
        if mark and number in SCREENS:
            self._state.screen = number if on else 0
        elif usual(mark).get(number, on) != on:
            self._state.changed |= {(mark, number)}
        else:
            self._state.changed -= {(mark, number)}

    def _set_other(self, kind: str, sequence: bytes) -> None:
        if sequence in USUAL[kind]:
            self._state.others.pop(kind, None)
        else:
            self._state.others[kind] = sequence

    def _set_keyboard(self, mark: bytes, value: int, way: int) -> None:
        """Follows kitty's keyboard protocol: `>` pushes modes, `<` pops `value` entries, `=` changes the last entry."""
        stack = self._state.keyboard
        if mark == b">":
            stack = (*stack, value)
            stack = stack if len(stack) <= MAX_STACK else (stack[0], *stack[2:])
        elif mark == b"<":
            stack = stack[: max(1, len(stack) - max(1, value))]
        else:
            last = {2: stack[-1] | value, 3: stack[-1] & ~value}.get(way, value)
            stack = (*stack[:-1], last)
        self._state.keyboard = stack

    def _set_titles(self, what: int, which: int) -> None:
        """Follows the stack of titles. `what` is 22 to push a title, and 23 to pop one.

        If `which` is 1, only the icon's title is meant, and nothing changes.
        """
        stack = self._state.titles
        if which == 1:
            return
        if what == 22:
            stack = (*stack, stack[-1])
            stack = stack if len(stack) <= MAX_STACK else (stack[0], *stack[2:])
        elif len(stack) > 1:
            stack = stack[:-1]
        self._state.titles = stack


def _value(digits: bytes) -> int:
    """Returns the number that `digits` means; 0 if there are no digits.

    If there are more than 9 digits, the others are ignored. The result is wrong, but no mode has such a large number.
    """
    return int(digits.lstrip(b"0")[:9] or b"0")

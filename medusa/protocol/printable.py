"""Makes text from the network safe to show, so that it cannot move the cursor, fake a log line or reorder words."""

from __future__ import annotations

import unicodedata

_SHOWN = frozenset(("L", "M", "N", "P", "S"))  # Unicode: letters, marks, numbers, punctuation, symbols


def printable(text: str, limit: int = 256) -> str:
    """Returns the first `limit` characters of `text`. Escapes those of them that are not safe to show.

    Appends `...` if `text` is longer than `limit`.

    These characters are not safe: control, format (also bidirectional), surrogate, private-use and unassigned
    characters, and all white space except the plain space.
    """
    cut = text[:limit]
    if not (cut.isascii() and cut.isprintable()):  # rare, so this may be slow
        cut = "".join(c if c == " " or unicodedata.category(c)[0] in _SHOWN else _escape(c) for c in cut)
    return cut + ("..." if len(text) > limit else "")


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return "\\x%02x" % code
    return "\\u%04x" % code if code < 0x10000 else "\\U%08x" % code

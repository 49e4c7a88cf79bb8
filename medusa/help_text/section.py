"""The sections of a help text, and their layout: at most 80 columns."""

from __future__ import annotations

import os
import sys
from typing import List, NamedTuple, Sequence, Tuple

WIDTH = 80
"""The largest number of columns of a help text. A narrower terminal gets narrower lines."""

NARROWEST = 40

TERM_COLUMN = 44
"""The rightmost column where the meaning of a term begins. A term that is too long for this has a line of its own."""


class Section(NamedTuple):
    """A part of a help text that follows the options.

    Attributes:
        title: the heading, such as `Examples`.
        items: pairs of a term, such as a command or the name of a variable, and its meaning.
        text: sentences that stand below the items.
    """

    title: str
    items: Sequence[Tuple[str, str]] = ()
    text: str = ""


def width() -> int:
    """Returns the number of columns for a help text: the width of the terminal, but from NARROWEST to WIDTH."""
    # This is what shutil.get_terminal_size() does. The module shutil takes time to load.
    try:
        columns = int(os.environ.get("COLUMNS", "0"))
        columns = columns if columns > 0 else os.get_terminal_size(1).columns
    except (ValueError, OSError):
        columns = 0
    return max(NARROWEST, min(columns or WIDTH, WIDTH))


def show(text: str) -> None:
    """Writes a help text to stdout. Ignores the error if the reader stops early, as in `mlogin --help | head -1`."""
    try:
        print(text, flush=True)
    except OSError:
        setattr(sys, "stdout", None)  # noqa: B010 - otherwise Python tries again at its end, and complains


def wrap(text: str, columns: int, indent: str = "") -> List[str]:
    """Returns `text` as lines of at most `columns` characters. No line ends inside an option or a URL.

    `indent`: the text with which each line begins.
    """
    import textwrap

    wrapper = textwrap.TextWrapper(columns, indent, indent, break_on_hyphens=False, break_long_words=False)
    return wrapper.wrap(text)


def render(section: Section, columns: int) -> str:
    """Returns a section as one text, with lines of at most `columns` characters. A longer term is not divided."""
    lines = [section.title + ":"]
    column = min(TERM_COLUMN, columns // 2, 4 + max([0, *(len(term) for term, _ in section.items)]))
    for term, meaning in section.items:
        lines += _item(term, wrap(meaning, columns - column), column)
    lines += wrap(section.text, columns, "  ")
    return "\n".join(lines) + "\n"


def _item(term: str, meaning: List[str], column: int) -> List[str]:
    first, rest = ("  " + term).ljust(column), meaning
    if len(term) + 4 <= column:
        first, rest = first + "".join(meaning[:1]), meaning[1:]
    return [first.rstrip(), *(" " * column + line for line in rest)]

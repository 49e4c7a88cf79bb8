"""Makes tables for people to read, and the texts in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from medusa.option_types import LONGEST
from medusa.protocol.control import DETACHED

GAP = 2
"""Spaces between two columns."""

ELLIPSIS = "..."


def lines(rows: Sequence[Mapping[str, str]], widths: Mapping[str, int]) -> list[str]:
    """Returns the lines of a table: a line of headings, and a line for each row.

    Args:
        rows: one dict for each row: column -> cell.
        widths: column -> its width. The columns are shown in the order of `widths`. A longer cell is cut.
    """
    headings = {name: name for name in widths}
    shown = ([cut(row[name], width) for name, width in widths.items()] for row in (headings, *rows))
    return [(" " * GAP).join(line).rstrip() for line in shown]


def widest(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> dict[str, int]:
    """Returns for each column the width at which none of its cells is cut."""
    return {name: max(len(cell) for cell in (name, *(row[name] for row in rows))) for name in columns}


def used(rows: Sequence[Mapping[str, str]], columns: Iterable[str], optional: str) -> list[str]:
    """Returns the columns to show: all of `columns`, without `optional` if that column has no value in any row."""
    return [name for name in columns if name != optional or any(row[name] != "-" for row in rows)]


def total(widths: Mapping[str, int]) -> int:
    """Returns the width of a table, in characters. `widths`: the width of each column."""
    return sum(widths.values()) + GAP * (len(widths) - 1)


def cut(text: str, width: int) -> str:
    """Returns `text` with exactly `width` characters: with spaces after it, or cut, with an ellipsis at its end."""
    return text.ljust(width) if len(text) <= width else text[: width - len(ELLIPSIS)] + ELLIPSIS


def duration(seconds: object) -> str:
    """Returns a duration in its two largest units, such as 3m05s, or `-` if `seconds` is not a number, or too large."""
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < LONGEST:
        return "-"
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{left:02}s" if minutes else f"{left}s"


def left(until: object) -> float | None:
    """Returns the seconds until the time `until`, which is in seconds since 1970.

    Returns 0 if the time has passed, and None if `until` is not a number.
    """
    return max(0.0, until - time.time()) if isinstance(until, (int, float)) else None


def kept(entry: Mapping[str, object]) -> str:
    """Returns for how long a session is kept while it has no client or no agent, as a text for people to read.

    The text is a duration, or `job` if the session is kept until its job ends. It is `-` if the duration is not known,
    or if there is no reason to keep the session.

    Args:
        entry: the session, as a reflector lists it. Older reflectors do not tell all.
    """
    words = duration(left(entry.get("held_until")))
    return "job" if words == "-" and entry.get("held_for") == DETACHED else words

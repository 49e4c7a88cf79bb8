"""The command `medusa ls`: lists the user's own sessions."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

from medusa.client.outcome import Failure
from medusa.client.queries.meaning import state_words
from medusa.commands import tables
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import Access, access, add_access_options
from medusa.commands.tables import duration, kept, left
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.printable import printable

PROG = "medusa ls"
USAGE_ERROR = 2

DESCRIPTION = """List your own sessions: those at the reflector, of your account, and those of your mlogin on this
machine that named no reflector. `medusa exec SESSION` runs a command in one of them."""

SECTIONS = (
    Section(
        "Columns",
        (
            ("NAME, ID", "the session's --name, and as much of its id as `medusa exec` needs"),
            ("PLACE", "the job and its machine"),
            ("STATE", "linked: in use; waiting: for its agent; held: it waits for you; absent: held, agent away;"),
            ("", "ended: held, and its command has ended: `medusa attach` tells you so, and frees the job"),
            ("AGE, IDLE, LEFT", "since its beginning, since something passed, until the job's time is over"),
            ("KEPT", "for how long a session without a client, or without its agent, is kept; `job`: until that ends"),
        ),
    ),
    Section(
        "Examples",
        (
            ("medusa ls", "at the reflector of the config file, and on this machine"),
            ("medusa ls --json", "all that is known, for programs"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "the reflector does not answer"), ("2", "wrong usage"))),
)

Entry = dict[str, Any]

KEPT = "KEPT"
"""The column that is shown only if it has a value."""

COLUMNS: dict[str, Callable[[Entry], str]] = {
    "NAME": lambda entry: _text(entry.get("name")),
    "ID": lambda entry: _text(entry["id"]),
    "PLACE": lambda entry: _text(_place(entry)),
    "STATE": lambda entry: _text(state_words(entry)),
    "AGE": lambda entry: duration(entry.get("age_s")),
    "IDLE": lambda entry: duration(entry.get("idle", entry.get("idle_s"))),
    "LEFT": lambda entry: duration(left(entry.get("until"))),
    KEPT: kept,
}
"""The columns of the table: heading -> the function that makes the cell. Older reflectors do not tell all values."""

SHORTEST_ID = 4
"""The least number of characters that are shown of an id."""

NARROWEST = {"PLACE": 9, "NAME": 8, "ID": 8, "STATE": 7}
"""The columns that may be cut if the table is too wide, and the width that each of them keeps.

They are cut in this order, until the table is narrow enough.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa ls`. Returns the exit status: 0, or 1 if the reflector does not answer.

    Raises SystemExit(2) for wrong usage.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser()
    given = parser.parse_args(words)
    way = access(parser, given, words)
    entries, lines, status = _local(), [], 0
    if way.reflector is not None:
        try:
            found, missing = _at_reflector(way)
            entries += found
            lines += [f"other reflectors' sessions are missing: {missing}"] if missing else []
        except Failure as failure:
            lines, status = str(failure).splitlines(), 1
    _show(sorted(entries, key=_age_and_id), given, way, status)
    for line in lines:
        print(f"{PROG}: {line}", file=sys.stderr)
    return status


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, USAGE_ERROR, own=("json", "long"), sections=SECTIONS)
    add = parser.add_argument_group("What to show").add_argument
    add("-l", "--long", action="store_true", help="whole ids and places, however wide the terminal is")
    add("--json", action="store_true", help="all that is known, for programs")
    add_access_options(parser)
    return parser


def _local() -> list[Entry]:
    from medusa.client.queries import local

    now = time.time()
    return [{**entry, "age_s": round(max(0.0, now - entry["created"]), 3)} for entry in local.sessions()]


def _at_reflector(way: Access) -> tuple[list[Entry], str]:
    """Returns a pair: the user's sessions at the reflector, and the reason why some are missing ("" if none is).

    Raises Failure if the reflector does not answer.
    """
    from medusa.client.queries.joining import own_entries  # takes long to import
    from medusa.commands.own_sessions.asking import asked

    return own_entries(*asked(way))


def _show(entries: Sequence[Entry], given: SimpleNamespace, way: Access, status: int) -> None:
    if given.json:
        print(json.dumps(entries, indent=2))
    elif entries:
        width = None if given.long else shutil.get_terminal_size().columns
        print("\n".join(table(entries, width)))
    elif status == 0:
        print(f"{PROG}: {_nothing(way)}", file=sys.stderr)


def _nothing(way: Access) -> str:
    if way.reflector is None:
        return "you have no sessions on this machine; for those at a reflector: --reflector URL"
    return f"you have no sessions at {printable(way.reflector)}, and none on this machine"


def table(entries: Sequence[Entry], width: int | None) -> list[str]:
    """Returns lines for people to read: one of headings, then one for each session.

    `width`: the largest number of characters in a line. None: the lines have no limit, and the ids are not shortened.
    """
    rows = [{name: cell(entry) for name, cell in COLUMNS.items()} for entry in entries]
    if width is not None:
        for row, short in zip(rows, short_ids(entries), strict=True):
            row["ID"] = printable(short)
    widths = tables.widest(rows, tables.used(rows, COLUMNS, KEPT))
    for name, least in NARROWEST.items() if width is not None else ():
        excess = tables.total(widths) - (width or 0)
        widths[name] = max(min(least, widths[name]), widths[name] - max(0, excess))
    return tables.lines(rows, widths)


def short_ids(entries: Sequence[Entry]) -> list[str]:
    """Returns for each session the shortest beginning of its id that no other session's id has.

    A beginning that is also the name of a session is not used: `medusa exec` would take it as this name.
    """
    ids, names = {str(entry["id"]) for entry in entries}, {entry.get("name") for entry in entries}
    return [_short(str(entry["id"]), ids, names) for entry in entries]


def _short(own: str, ids: Collection[str], names: Collection[object]) -> str:
    for size in range(SHORTEST_ID, len(own)):
        begun = own[:size]
        if begun not in names and all(other == own or not other.startswith(begun) for other in ids):
            return begun
    return own


def _place(entry: Entry) -> str:
    from medusa.client.queries.finding import place

    return place(entry)


def _age_and_id(entry: Entry) -> tuple[float, str]:
    created = entry.get("created")
    return (float(created) if isinstance(created, (int, float)) else 0.0, str(entry["id"]))


def _text(value: object) -> str:
    return "-" if value is None else printable(str(value), 300)

"""The command `medusa sessions`: lists, shows and ends sessions of a reflector."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from medusa.client.outcome import Failure
from medusa.client.queries.meaning import state_words
from medusa.commands import tables
from medusa.commands.manta_options import add_header_options, header_options, login_name
from medusa.commands.options.parser import VARIABLES
from medusa.commands.tables import duration, kept
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from medusa.client.keys.account import Account
    from medusa.client.operator.session_admin import Administrator

REFLECTOR = "http://127.0.0.1:8381"

DESCRIPTION = """List the sessions of a site, show one of them, or end it: both of its ends are told that an
administrator did. On the reflector's own host nothing more is needed; from elsewhere the requests are signed, with a
key of one of the accounts that the reflector's --admins names."""

USAGE_ERROR = 2

SECTIONS = (
    Section(
        "Examples",
        (
            ("medusa sessions list", "on the reflector's own host"),
            ("medusa sessions kill ID", "end a session"),
            ("medusa sessions list --reflector URL -a LOGIN -k KEY", "from elsewhere"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "not done"), ("2", "wrong usage"))),
)

Entry = dict[str, Any]

MAX_SAID = 1000
"""The maximum number of lines on stderr that are remembered, so that they are not repeated."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa sessions`. Returns the exit status: 0, or 1 after an error.

    Raises SystemExit(2) for wrong usage.
    """
    parser = make_parser()
    given = parser.parse_args(argv)
    if (given.session is None) is (given.verb != "list"):
        parser.error("list takes no ID, show and kill take one")
    signing = any(getattr(given, name) and parser.place_of(name) is None for name in ("account", "key"))
    try:
        _VERBS[given.verb](_administrator(given, signing=signing), given)
    except Failure as failure:
        print("\n".join(f"medusa sessions: {line}" for line in str(failure).splitlines()), file=sys.stderr)
        return 1
    return 0


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser("medusa sessions", DESCRIPTION, USAGE_ERROR, own=("login", "json"), sections=SECTIONS)
    add = parser.add_argument_group("What to do").add_argument
    add("verb", choices=sorted(_VERBS, key=list(_VERBS).index), help="what to do")
    add("session", nargs="?", metavar="ID", help="session's id or its beginning, for show and kill")
    add("--login", metavar="LOGIN", help="whose session, if several have the same ID")
    add("--json", action="store_true", help="all that is known, for programs")
    group = parser.add_argument_group("Reflector, account and key")
    add = group.add_argument
    add("--reflector", default=REFLECTOR, metavar="URL", help="any one of the site (%(default)s)")
    add("-a", "--account", metavar="LOGIN", help="sign as this account (default: your login name, if need be)")
    add("-k", "--key", metavar="KEY", help="an ssh key's fingerprint, or its file (default: the keys ssh would try)")
    add("-i", "--insecure-tls", action="store_true", help="trust any certificate")
    add_header_options(group)
    return parser


def _administrator(given: SimpleNamespace, *, signing: bool) -> Administrator:
    """Returns the client of the administrators' API. Raises Failure if it has to sign and finds no account or no key.

    A reflector on this host needs no signature, and refuses the signature of an account that is not an administrator's.
    If the user gave an empty account, the client signs no request.

    Args:
        signing: True to sign all requests. False to sign only after the reflector has refused a request without a
            signature.
    """
    from medusa.client.operator.session_admin import Administrator  # slow to load

    def account() -> Account:
        from medusa.client.keys.account import Account, find_signer

        login = given.account or login_name()
        if login is None:
            raise Failure("which account? Give --account LOGIN")
        return Account(login, None, find_signer(given.key, urlsplit(given.reflector).hostname))

    return Administrator(
        given.reflector,
        account() if signing and given.account != "" else None,
        insecure_tls=given.insecure_tls,
        headers=header_options(given),
        find_account=None if given.account == "" else account,
    )


def _list(administrator: Administrator, given: SimpleNamespace) -> None:
    """Prints the list a page at a time: it may be too long for the memory."""
    table, said = Table(shutil.get_terminal_size().columns), set[str]()
    written = 0
    for page in administrator.pages(given.login):
        if given.json:
            for entry in page:
                text = json.dumps(entry, indent=2).replace("\n", "\n  ")
                print(",\n" if written else "[\n", "  ", text, sep="", end="")
                written += 1
        elif page:
            print("\n".join(table.lines(page)))
        for line in gaps(page):
            if line not in said:
                print(f"medusa sessions: {line}", file=sys.stderr)
            if len(said) < MAX_SAID:
                said.add(line)
    if given.json:
        print("\n]" if written else "[]")
    elif not table.begun:
        print("\n".join(table.lines([])))
    if administrator.missing:
        print(f"medusa sessions: other reflectors' sessions are missing: {administrator.missing}", file=sys.stderr)


def _show(administrator: Administrator, given: SimpleNamespace) -> None:
    entry = administrator.find(given.session, given.login)
    print(json.dumps(entry, indent=2) if given.json else details(entry))


def _kill(administrator: Administrator, given: SimpleNamespace) -> None:
    entry = administrator.find(given.session, given.login)
    administrator.kill(entry)
    print(json.dumps({"killed": entry["id"]}) if given.json else f"killed {_value(entry['id'])}")


_VERBS: dict[str, Callable[[Administrator, SimpleNamespace], None]] = {"list": _list, "show": _show, "kill": _kill}

KEPT = "KEPT"
"""The column that says for how long a session without a client, or without its agent, is kept.

It is shown only if there is such a session.
"""

COLUMNS: dict[str, Callable[[Entry], str]] = {
    "ID": lambda entry: _value(entry.get("id")),
    "NAME": lambda entry: _value(entry.get("name")),
    "LOGIN": lambda entry: _value(entry.get("login")),
    "STATE": lambda entry: _value(state_words(entry)),
    "AGE": lambda entry: duration(entry.get("age_s")),
    "IDLE": lambda entry: duration(entry.get("idle_s")),
    KEPT: kept,
    "LEGS": lambda entry: _value(entry.get("legs")),
    "TYPED": lambda entry: size(entry.get("typed_bytes", entry.get("client_bytes"))),
    "SHOWN": lambda entry: size(entry.get("shown_bytes", entry.get("agent_bytes"))),
    "CLIENT": lambda entry: _value(entry.get("client")),
    "AGENT": lambda entry: _value(entry.get("agent")),
    "HOST": lambda entry: _value(entry.get("host")),
    "JOB": lambda entry: _value(entry.get("job")),
    "OWNER": lambda entry: _value(entry.get("owner")),
}
"""The columns of the table: heading -> the function that makes the cell.

A reflector of an earlier version does not count the bytes that were typed and shown. For such a reflector, the columns
TYPED and SHOWN contain all bytes that the client and the agent sent.
"""

LEFT_OUT = ("OWNER", "AGENT", "JOB", "HOST", "LEGS", "CLIENT", "SHOWN", "TYPED", "NAME", KEPT, "LOGIN", "IDLE", "AGE")
"""The columns that are left out if the table is too wide: first those that are empty, then the others in this order."""


class Table:
    """A table of sessions for people to read, which is made in parts.

    `width`: the largest number of characters in a line. What does not fit is left out.

    Attributes:
        begun: False until there are any lines.
    """

    def __init__(self, width: int) -> None:
        self.begun = False
        self._width = self._longest_id = width
        self._widths: dict[str, int] = {}

    def lines(self, sessions: Sequence[Entry]) -> list[str]:
        """Returns a line for each session. The first time, returns a line of headings before them.

        The first sessions decide which columns the table has. A column gets wider if later sessions need it.
        """
        rows = [{name: cell(entry) for name, cell in COLUMNS.items()} for entry in sessions]
        if self.begun:
            for name, size in tables.widest(rows, list(self._widths)).items():
                self._widths[name] = max(self._widths[name], size)
            self._widths["ID"] = min(self._widths["ID"], self._longest_id)
            return tables.lines(rows, self._widths)[1:]
        self.begun = True
        self._widths = widths = tables.widest(rows, tables.used(rows, COLUMNS, KEPT))
        empty = [name for name in LEFT_OUT if all(row[name] == "-" for row in rows)]
        for name in (*empty, *LEFT_OUT):
            if tables.total(widths) > self._width:
                widths.pop(name, None)
        self._longest_id = max(8, self._width - tables.total(widths) + widths["ID"])
        widths["ID"] = min(widths["ID"], self._longest_id)
        return tables.lines(rows, widths)


def details(entry: Entry) -> str:
    """Returns a text with all that is known of a session: a line for each fact, with times for people to read."""
    facts = dict(_fact(key, value) for key, value in entry.items())
    width = max(map(len, facts))
    return "\n".join(f"{name:{width}}  {text}" for name, text in facts.items())


def _fact(key: str, value: object) -> tuple[str, str]:
    if key in ("age_s", "idle_s"):
        return key.removesuffix("_s"), duration(value)
    if key in ("created", "until", "held_until") and isinstance(value, (int, float)):
        with contextlib.suppress(OverflowError, OSError, ValueError):  # the number is too large for a time
            return key, time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(value))
    return printable(key), _value(value)


def gaps(sessions: Iterable[Entry]) -> list[str]:
    """Returns lines that say what is not known of `sessions`: one for each reflector that did not answer.

    And one for each session whose entry in the directory cannot be used.
    """
    failed = [entry for entry in sessions if entry.get("error") is not None]
    silent = {_value(e["owner"]): _value(e["error"]) for e in failed if e.get("owner") is not None}
    lines = [f"{owner} does not answer: {error}" for owner, error in silent.items()]
    return lines + [f"{_value(e.get('id'))}: {_value(e['error'])}" for e in failed if e.get("owner") is None]


def size(count: object) -> str:
    """Returns a number of bytes as text, such as 1.5M, or `-` if `count` is not a number."""
    if not isinstance(count, (int, float)):
        return "-"
    value, units = float(count), "BKMGT"
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f}{units[0]}" if units[0] == "B" or value >= 10 else f"{value:.1f}{units[0]}"


def _value(value: object) -> str:
    return "-" if value is None else printable(str(value), 300)

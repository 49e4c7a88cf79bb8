"""The command `medusa sessions`: lists, shows and ends sessions of a reflector."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from medusa.client.outcome import Failure
from medusa.commands.user_config.parser import UserOptionParser
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from medusa.client.operator.session_admin import Administrator

REFLECTOR = "http://127.0.0.1:8381"

DESCRIPTION = """List the sessions of a site, show one of them, or end it: both of its ends are told that an
administrator did. On the reflector's own host nothing more is needed; from elsewhere the requests are signed, with a
key of one of the accounts that the reflector's --admins names."""

USAGE_ERROR = 2

Entry = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa sessions`. Returns the exit status: 0, or 1 after an error.

    Raises SystemExit(2) for wrong usage.
    """
    parser = make_parser()
    given = parser.parse_args(argv)
    if (given.session is None) is (given.verb != "list"):
        parser.error("list takes no ID, show and kill take one")
    _drop_account_of_file(parser, given)
    if (given.account is None) is not (given.key is None):
        parser.error("a request is signed by an account with its key: give --account and --key, or neither")
    try:
        _VERBS[given.verb](_administrator(given), given)
    except Failure as failure:
        print("\n".join(f"medusa sessions: {line}" for line in str(failure).splitlines()), file=sys.stderr)
        return 1
    return 0


def _drop_account_of_file(parser: UserOptionParser, given: SimpleNamespace) -> None:
    """Drops the account and key of the user's config file if this host's reflector is asked, or if one is missing.

    This host's reflector wants no signature, and refuses one by an account that is no administrator's.
    """
    if given.reflector == REFLECTOR or None in (given.account, given.key):
        for name in ("account", "key"):
            if parser.place_of(name) is not None:
                setattr(given, name, None)


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser("medusa sessions", DESCRIPTION, USAGE_ERROR, own=("login", "json"))
    add = parser.add_argument
    add("verb", choices=sorted(_VERBS, key=list(_VERBS).index), help="what to do")
    add("session", nargs="?", metavar="ID", help="session's id, for show and kill")
    add("--reflector", default=REFLECTOR, metavar="URL", help="any one of the site (%(default)s)")
    add("--login", metavar="LOGIN", help="whose session, if several have the same ID")
    add("--json", action="store_true", help="all that is known, for programs")
    add("-a", "--account", metavar="LOGIN", help="sign as this account")
    add("-k", "--key", metavar="KEY", help="an ssh key's fingerprint, or its file")
    add("-i", "--insecure-tls", action="store_true", help="trust any certificate")
    return parser


def _administrator(given: SimpleNamespace) -> Administrator:
    from medusa.client.keys.account import Account, find_signer
    from medusa.client.operator.session_admin import Administrator  # slow to load

    account = Account(given.account, None, find_signer(given.key)) if given.account else None
    return Administrator(given.reflector, account, insecure_tls=given.insecure_tls)


def _list(administrator: Administrator, given: SimpleNamespace) -> None:
    sessions = administrator.sessions()
    if given.login is not None:
        sessions = [entry for entry in sessions if entry.get("login") == given.login]
    print(json.dumps(sessions, indent=2) if given.json else table(sessions))
    for line in gaps(sessions, administrator.missing):
        print(f"medusa sessions: {line}", file=sys.stderr)


def _show(administrator: Administrator, given: SimpleNamespace) -> None:
    entry = administrator.find(given.session, given.login)
    if given.json:
        print(json.dumps(entry, indent=2))
    else:
        width = max(map(len, entry))
        print("\n".join(f"{printable(key):{width}}  {_value(value)}" for key, value in entry.items()))


def _kill(administrator: Administrator, given: SimpleNamespace) -> None:
    entry = administrator.find(given.session, given.login)
    administrator.kill(entry)
    print(json.dumps({"killed": entry["id"]}) if given.json else f"killed {_value(entry['id'])}")


_VERBS: dict[str, Callable[[Administrator, SimpleNamespace], None]] = {"list": _list, "show": _show, "kill": _kill}

COLUMNS: dict[str, Callable[[Entry], str]] = {
    "ID": lambda entry: _value(entry.get("id")),
    "LOGIN": lambda entry: _value(entry.get("login")),
    "STATE": lambda entry: _value(entry.get("state", "unknown")),
    "AGE": lambda entry: duration(entry.get("age_s")),
    "IDLE": lambda entry: duration(entry.get("idle_s")),
    "TYPED": lambda entry: size(entry.get("client_bytes")),
    "SHOWN": lambda entry: size(entry.get("agent_bytes")),
    "CLIENT": lambda entry: _value(entry.get("client")),
    "AGENT": lambda entry: _value(entry.get("agent")),
    "OWNER": lambda entry: _value(entry.get("owner")),
}


def table(sessions: Sequence[Entry]) -> str:
    """Returns a table for people to read: a line of headings, then a line for each session."""
    rows = [list(COLUMNS), *([cell(entry) for cell in COLUMNS.values()] for entry in sessions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def gaps(sessions: Sequence[Entry], missing: str) -> list[str]:
    """Returns lines that say what the list of sessions lacks.

    There is one line for each reflector that did not answer, and one if the sessions of all other reflectors are
    missing.

    Args:
        missing: why the sessions of all other reflectors are missing; "" if they are not.
    """
    failed = [entry for entry in sessions if entry.get("error") is not None]
    silent = {_value(e["owner"]): _value(e["error"]) for e in failed if e.get("owner") is not None}
    lines = [f"{owner} does not answer: {error}" for owner, error in silent.items()]
    lines += [f"{_value(e.get('id'))}: {_value(e['error'])}" for e in failed if e.get("owner") is None]
    return [f"other reflectors' sessions are missing: {missing}", *lines] if missing else lines


def duration(seconds: object) -> str:
    """Returns a duration in its two largest units, such as 3m05s, or `-` if `seconds` is not a number."""
    if not isinstance(seconds, (int, float)):
        return "-"
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{left:02}s" if minutes else f"{left}s"


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

"""Makes the lines that show the value of each option of mlogin, and where it came from. Secrets are not shown."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import NamedTuple

from medusa.client import launchers
from medusa.client.settings import DEFAULT_ESCAPE
from medusa.commands.manta_options import VARIABLES, login_name
from medusa.commands.mlogin_options.groups import DEFAULT_WAIT, LOCAL
from medusa.commands.options.config_file import COMMON
from medusa.commands.options.parser import NOT_IN_A_FILE, name_of
from medusa.commands.user_config.parser import TARGET, Place, UserOptionParser
from medusa.commands.user_config.precedence import of_other_launchers
from medusa.protocol.printable import printable
from medusa.protocol.terminal import environment

DEFAULTS = {
    "escape": DEFAULT_ESCAPE.decode(),
    "key": "the keys that ssh would try",
    "launcher": LOCAL,
    "reflector": "none: mlogin starts one, or uses a Manta's",
    "send-env": ",".join(environment.DEFAULT),
    "wait-timeout": f"{DEFAULT_WAIT:.0f}, or while a queued job lives",
}
"""The defaults that mlogin itself fills in after parsing."""

HIDDEN = "(not shown)"

_SECRETS = (
    (re.compile(r"(://)[^/@\s]*@"), rf"\1{HIDDEN}@"),  # user and password of a URL
    (re.compile(r"(://[^\s?]*\?)\S+"), rf"\1{HIDDEN}"),  # the query of a URL, which may be a signature
    (
        re.compile(
            r"([\w-]*(?:secret|token|passw|passphrase|credential|api[_-]?key|cookie|authorization)[\w-]*\s*[=:]).+",
            re.IGNORECASE,
        ),
        rf"\1 {HIDDEN}",
    ),
)


class Row(NamedTuple):
    """Holds an option's name, its value as a text, and the place where the value came from."""

    option: str
    value: str
    source: str


def show(parser: UserOptionParser, words: Sequence[str], profile: str | None, file: str) -> list[str]:
    """Returns lines that show the value of each option of mlogin. Exits if the config file is wrong.

    The values are those for a session with `profile`. If `profile` is None, they are those for a session without a
    profile, and further lines say what each profile changes.

    Args:
        parser: the parser of mlogin's options.
        words: the arguments for `parser`: `--config` and the file; empty if no config file exists.
        file: the path of the config file, for the headings.
    """
    parser.profile = profile
    given = parser.parse_args(words)
    used = parser.profile
    state = "" if words else ", which does not exist"
    heading = f"mlogin{f' {used}' if used else ''}, with {file}{state}"
    lines = [printable(heading, 4096), "", *_table(rows(parser, given))]
    for name in () if used else parser.profiles(words):
        parser.profile = name
        given = parser.parse_args(words)
        own = [row for row in rows(parser, given) if row.source.endswith(f" [{name}]")]
        lines += ["", f"mlogin {printable(name)}, instead of that:", "", *_table(own)]
    return lines


def rows(parser: UserOptionParser, given: SimpleNamespace) -> list[Row]:
    """Returns the rows of all options: one row for each value of an option.

    Leaves out the options that the config file sets for a launcher that is not used.

    Args:
        given: what the parser returned.
    """
    by_target = launchers.of_target(parser.target or "")
    skipped = of_other_launchers(parser, by_target or given.launcher or LOCAL)
    if by_target is not None:
        skipped.append("launcher")
    found = [(TARGET, parser.target, _place(parser.places[TARGET][0]))] if parser.target is not None else []
    for action in parser._actions:
        name = name_of(action)
        if action.option_strings and action.dest not in NOT_IN_A_FILE and name not in skipped:
            found += [(name, value, source) for value, source in _values(parser, action, given)]
    return [Row(name, printable(hidden(name, value), 1024), source) for name, value, source in found]


def _values(parser: UserOptionParser, action: argparse.Action, given: SimpleNamespace) -> Iterator[tuple[str, str]]:
    """Yields pairs for one option: a value as a text, and the place where the value came from.

    Yields several pairs if the option may be repeated, and none if the option has no value.
    """
    name, settings = name_of(action), parser.get_source_to_settings_dict()
    for variable, (owner, text) in settings.get("environment_variables", {}).items():
        if owner is action:
            instead = f", instead of {_place(parser.places[name][0])}" if name in parser.places else ""
            yield str(text), f"variable {variable}{instead}"
            return
    for source, values in settings.items():
        if source.startswith("config_file|") and name in values:
            value = values[name][1]
            yield from zip(value if isinstance(value, list) else [value], map(_place, parser.places[name]), strict=True)
            return
    for variable in VARIABLES.get(action.dest, ()):
        if os.environ.get(variable):
            yield os.environ[variable], f"variable {variable}"
            return
    value = getattr(given, action.dest)
    if name == "account" and value is None:
        login = login_name()
        if login is not None:
            yield login, "default, your login name"
        return
    value = DEFAULTS.get(name) or value
    if value not in (None, "", [], False):
        yield str(value), "default"


def _place(place: Place) -> str:
    """Returns a text that says in which line and section of the config file a value is set."""
    line = "" if place.line is None else f", line {place.line}"
    section = "" if place.section == COMMON else f" [{place.section}]"
    return f"config file{line}{section}"


def hidden(option: str, value: str) -> str:
    """Returns the value of an option without the secrets in it."""
    if option == "header" and not value.startswith("@"):
        return f"{value.partition(':')[0]}: {HIDDEN}"
    for secret, shown in _SECRETS:
        value = secret.sub(shown, value)
    return value


def _table(found: Sequence[Row]) -> list[str]:
    """Returns a line for each row, in columns."""
    option, value = (max((len(row[column]) for row in found), default=0) for column in (0, 1))
    return [f"{row.option:{option}}  {row.value:{min(value, 48)}}  {printable(row.source, 4096)}" for row in found]

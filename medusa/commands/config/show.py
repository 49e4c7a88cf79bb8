"""Says what each option of mlogin is, and where it came from. Secrets are not shown."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import NamedTuple

from medusa.client.settings import DEFAULT_ESCAPE
from medusa.commands.manta_options import VARIABLES
from medusa.commands.mlogin import DEFAULT_WAIT, LOCAL
from medusa.commands.options import COMMON, NOT_IN_A_FILE, name_of
from medusa.commands.user_config.parser import TARGET, UserOptionParser
from medusa.protocol.printable import printable
from medusa.protocol.terminal import environment

DEFAULTS = {
    "escape": DEFAULT_ESCAPE.decode(),
    "launcher": LOCAL,
    "send-env": ",".join(environment.DEFAULT),
    "wait-timeout": f"{DEFAULT_WAIT:.0f}",
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
    """An option, its value as text, and where the value came from."""

    option: str
    value: str
    source: str


def show(parser: UserOptionParser, words: Sequence[str], profile: str | None, file: str) -> list[str]:
    """Returns lines that say what the options are for a session with `profile`, or without one.

    Without a profile, each profile's own lines follow. Exits if the config file is wrong.

    Args:
        parser: the parser of mlogin's options.
        words: a command line that names the config file, if there is one.
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
        parser.target = None
        given = parser.parse_args(words)
        own = [row for row in rows(parser, given) if row.source.endswith(f" [{name}]")]
        lines += ["", f"mlogin {printable(name)}, instead of that:", "", *_table(own)]
    return lines


def rows(parser: UserOptionParser, given: SimpleNamespace) -> list[Row]:
    """Returns a row for each value of each option that has one. `given`: what the parser returned."""
    found = [Row(TARGET, parser.target, _place(parser, TARGET))] if parser.target is not None else []
    for action in parser._actions:
        if action.option_strings and action.dest not in NOT_IN_A_FILE:
            source, values = _source(parser, action, given)
            found += [Row(name_of(action), value, source) for value in values]
    return [Row(row.option, printable(hidden(row.option, row.value), 1024), row.source) for row in found]


def _source(parser: UserOptionParser, action: argparse.Action, given: SimpleNamespace) -> tuple[str, Iterable[str]]:
    """Returns where an option's value came from, and the value as texts: several if the option may be repeated."""
    name, settings = name_of(action), parser.get_source_to_settings_dict()
    for variable, (owner, text) in settings.get("environment_variables", {}).items():
        if owner is action:
            return f"variable {variable}", [str(text)]
    for source, values in settings.items():
        if source.startswith("config_file|") and name in values:
            value = values[name][1]
            return _place(parser, name), [str(item) for item in (value if isinstance(value, list) else [value])]
    for variable in VARIABLES.get(action.dest, ()):
        if os.environ.get(variable):
            return f"variable {variable}", [os.environ[variable]]
    value = DEFAULTS.get(name) or getattr(given, action.dest)
    return "default", [] if value in (None, "", [], False) else [str(value)]


def _place(parser: UserOptionParser, name: str) -> str:
    """Returns the file, the line and the section in which `name` is set."""
    place = parser.places[name]
    line = "" if place.line is None else f":{place.line}"
    section = "" if place.section == COMMON else f" [{place.section}]"
    return f"{place.file}{line}{section}"


def hidden(option: str, value: str) -> str:
    """Returns the value of an option without the secrets in it."""
    if option == "header":
        return f"{value.partition(':')[0]}: {HIDDEN}"
    for secret, shown in _SECRETS:
        value = secret.sub(shown, value)
    return value


def _table(found: Sequence[Row]) -> list[str]:
    """Returns the rows as lines, in columns."""
    option, value = (max((len(row[column]) for row in found), default=0) for column in (0, 1))
    return [f"{row.option:{option}}  {row.value:{min(value, 48)}}  {printable(row.source, 4096)}" for row in found]

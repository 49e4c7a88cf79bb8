"""Reads the text of a config file. Does not know which options there are.

A config file either has lines `key = value`, perhaps in sections, or is one JSON object, as in the original Medusa. In
keys, `_` and `-` mean the same.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

COMMON = ""
"""The name under which `parse_config` returns the settings before the first section."""

_SECTION = re.compile(r"\[\s*([^\s\[\]:/=-][^\s\[\]:/=]*)\s*\]")


class BadFile(Exception):
    """Raised if a config file is malformed. The text gives the reason, and the line if it is known."""


class Setting(NamedTuple):
    """Holds a key and its value in a config file.

    Attributes:
        key: the name of the option, with `-` where the file has `_`.
        value: text; in JSON any value.
        line: the number of its line; None in JSON.
    """

    key: str
    value: object
    line: int | None = None


Sections = dict[str, list[Setting]]
"""The settings of a config file by their section: COMMON, or a profile's name."""


def parse_config(text: str, *, sections: bool = False) -> Sections:
    """Returns the settings of a config file: name of the section -> list of settings, in their order.

    The settings before the first section are in the section COMMON, which always exists. `sections`: True if a line
    `[NAME]` starts a section.

    Raises BadFile if the text is malformed.
    """
    if text.lstrip().startswith("{"):
        return {COMMON: _json(text)}
    found: Sections = {COMMON: []}
    current = found[COMMON]
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        if sections and line.startswith("["):
            current = _section(found, number, line)
        else:
            current.append(_setting(number, line))
    return found


def _json(text: str) -> list[Setting]:
    try:
        return [Setting(_name(key), value) for key, value in json.loads(text, object_pairs_hook=_Pairs)]
    except (ValueError, RecursionError) as error:
        raise BadFile(f"not valid JSON: {error}") from None


def _section(found: Sections, number: int, line: str) -> list[Setting]:
    match = _SECTION.fullmatch(line)
    if match is None or not match[1].isprintable():
        raise BadFile(
            f"line {number}: not of the form [NAME]; a name has no space and none of [ ] : / =, and begins with no -"
        )
    if match[1] in found:
        raise BadFile(f"line {number}: there is a section [{match[1]}] already")
    return found.setdefault(match[1], [])


def _setting(number: int, line: str) -> Setting:
    key, equals, value = line.partition("=")
    if not equals or not key.strip():
        raise BadFile(f"line {number}: not of the form key = value")
    return Setting(_name(key.strip()), value.strip(), number)


def _name(key: str) -> str:
    return key.replace("_", "-")


class _Pairs(list[tuple[str, object]]):
    """A JSON object as a list of its keys and values. Unlike a dict, the list shows if a key is given twice."""

"""Builds and parses the value of the header field features.ABOUT: what a peer says about itself, for lists of sessions.

No I/O.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import Any, NamedTuple, Optional

from medusa.protocol.printable import printable

MAX_VALUE = 1024
"""The limit of the whole value, in bytes."""

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@+:\-]{0,63}"
"""The regular expression of a session's name."""

_MAX_TEXT = 255
_MAX_DIGITS = 12


class About(NamedTuple):
    """Holds what a peer says about itself. A field is None if the peer does not say it.

    Attributes:
        name: the name that the user has given the session; see NAME.
        host: the name of the agent's machine.
        job: the job that the agent runs in, such as `slurm 4711`.
        until: the time at which this job ends, in seconds since 1970.
    """

    name: Optional[str] = None
    host: Optional[str] = None
    job: Optional[str] = None
    until: Optional[int] = None


NOTHING = About()


def build(about: About) -> str:
    """Returns `about` as the value of the header field features.ABOUT.

    Leaves out each field that a reflector would ignore, or that would make the value too long.
    """
    value = ""
    for key, given in about._asdict().items():
        if given is not None and _checked(key, str(given)) is not None:
            longer = "%s&%s=%s" % (value, key, urllib.parse.quote_plus(str(given)))
            value = longer if len(longer) <= MAX_VALUE else value
    return value[1:]


def parse(value: Optional[str]) -> About:
    """Returns what `value`, the value of the header field features.ABOUT, says.

    Returns an empty About if `value` is None (no such field), too long or not printable ASCII. Ignores unknown fields
    and illegal values. If a field is given several times, only the first one counts.
    """
    if value is None or not re.fullmatch(r"[\x21-\x7e]{1,%d}" % MAX_VALUE, value):
        return NOTHING
    parts = [part.partition("=") for part in value.split("&")]
    found = {key: _decoded(key, text) for key, _, text in reversed(parts) if key in About._fields}
    return About(**found)


def _decoded(key: str, text: str) -> Any:
    try:
        return _checked(key, urllib.parse.unquote_plus(text, errors="strict"))
    except UnicodeDecodeError:
        return None


def _checked(key: str, text: str) -> Any:
    """Returns the value of the field `key`, parsed from `text`. None if it is not legal."""
    if key == "name":
        return text if re.fullmatch(NAME, text) else None
    if key == "until":
        return int(text) if re.fullmatch("[0-9]{1,%d}" % _MAX_DIGITS, text) else None
    return text if text.strip() and text == printable(text, _MAX_TEXT) else None

"""Checks the header fields that a user adds to requests, because a proxy in front of the reflector asks for them.

The texts of errors never quote the value of a field, because the value may be a secret.
"""

from __future__ import annotations

import re
from typing import List, Sequence, Tuple

Field = Tuple[str, str]
"""The name and the value of a header field."""

MAX_FIELDS = 32
MAX_BYTES = 8 * 1024
"""The limits of the header fields that a user adds: their number (MAX_FIELDS), and their bytes in total (MAX_BYTES).

The reflector accepts a head of up to 16 KiB, so the program's own fields fit in too.
"""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_OURS = re.compile(
    r"host|date|connection|upgrade|keep-alive|te|trailer|transfer-encoding|content-.*|expect|sec-websocket-.*"
    r"|proxy-.*|http2-settings|medusa-.*",
    re.IGNORECASE,
)
"""Matches the names of the fields that a user cannot add.

These fields decide what a request means or how it is read, or a signature covers them, or a proxy uses them itself.
"""


def parse_field(text: str) -> Field:
    """Parses `NAME: VALUE`. Returns the name and the value, without spaces around the value.

    Raises:
        ValueError: `text` is not of this form, or a user may not set this field. The error says why.
    """
    name, colon, value = text.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise ValueError("a header is of the form 'NAME: VALUE'")
    if not _VALUE.fullmatch(value.strip(" ")):
        raise ValueError("the value of %s has a control or non-ASCII character" % name)
    if _OURS.fullmatch(name):
        raise ValueError("%s cannot be set" % name)
    if len(text) > MAX_BYTES:
        raise ValueError("the value of %s is too long" % name)
    return name, value.strip(" ")


def parse_lines(text: str) -> List[Field]:
    """Parses the header fields in `text`, one in each line. Skips blank lines, and lines that begin with `#`.

    Raises:
        ValueError: a line cannot be parsed. The error names the number of the line.
    """
    fields = []
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        if line.strip(" ") and not line.startswith("#"):
            try:
                fields.append(parse_field(line))
            except ValueError as error:
                raise ValueError("line %d: %s" % (number, error)) from None
    return fields


def checked(fields: Sequence[Field]) -> List[Field]:
    """Checks a list of header fields, and returns it.

    Raises ValueError if the fields are too many or too long, or if two have the same name.
    """
    if len(fields) > MAX_FIELDS or sum(len(name) + len(value) + 4 for name, value in fields) > MAX_BYTES:
        raise ValueError("more than %d headers, or more than %d bytes of them" % (MAX_FIELDS, MAX_BYTES))
    names = [name.lower() for name, _ in fields]
    for name in names:
        if names.count(name) > 1:
            raise ValueError("%s is given twice" % name)
    return list(fields)


def has_authorization(fields: Sequence[Field]) -> bool:
    """Returns True if one of the fields is Authorization. Then this field cannot hold the request's signature."""
    return any(name.lower() == "authorization" for name, _ in fields)

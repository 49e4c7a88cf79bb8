"""Checks the values of the fields of control messages.

Each check takes a value from the parsed JSON and returns the value for the field, or raises ValueError. The constants
at the end of this file are the metadata of the fields.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional, Tuple

from medusa.protocol.resume.offer import MAX_KEEP, check_identifier, check_offer
from medusa.protocol.resume.records import LEAST_LIMIT

MAX_WINDOW = 0xFFFF
"""The largest number of columns or lines: the kernel's struct winsize holds unsigned shorts."""


DETACHED, PARKED, HOLD, FIRST = KEPT_FOR = ("detached", "parked", "hold", "first")
"""What an agent keeps a session for: terminals that users have left; streams without a link, and outcomes that no
client was told; a step that has failed; the first client."""


def check_text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a string")
    # Bytes of a command line that are not UTF-8 are sent as U+DC80..U+DCFF (PEP 383). Other lone surrogates fail here.
    value.encode("utf-8", "surrogateescape")
    return value


def _texts(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple([check_text(item) for item in value])


def check_integer(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError("not a whole number in range")
        return value

    return check


_natural = check_integer(0, 1 << 53)


def check_window(value: Any) -> int:
    # A terminal of unknown size reports 0. The original's clients then send 0 or an absurdly large number, which must
    # not make the message invalid.
    return min(_natural(value), MAX_WINDOW)


def _variables(value: Any) -> Optional[Dict[str, str]]:
    # A wrong value counts as none: a command without these variables is better than no command.
    if not isinstance(value, dict):
        return None
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _names(value: Any) -> Optional[Tuple[str, ...]]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else None


def _modes(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and re.fullmatch("(?:[0-9a-f]{2})*", value) else None


def _ticket(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9_.-]{1,512}", value):
        raise ValueError("not a ticket")
    return value


def _kept(value: Any) -> str:
    if value not in KEPT_FOR:
        raise ValueError("not a reason to keep a session")
    return str(value)


def _seconds(value: Any) -> Optional[int]:
    return None if value is None else check_integer(0, MAX_KEEP)(value)


def _flag(value: Any) -> Optional[bool]:
    return value is True or None


TEXT, TEXTS, NATURAL, WINDOW = check_text, _texts, _natural, check_window
VARIABLES, NAMES, MODES, FLAG = _variables, _names, _modes, _flag
IDENTIFIER, OFFER, TICKET = check_identifier, check_offer, _ticket
KEPT, SECONDS = _kept, _seconds
OFFSET = check_integer(0, (1 << 63) - 1)
STATUS = check_integer(0, 255)
VERSION = check_integer(1, 1)
MESSAGE_LIMIT = check_integer(LEAST_LIMIT, 1 << 53)

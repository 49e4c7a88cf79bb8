"""Control messages: TEXT messages of a prefix and one JSON object with a `type` (docs/protocol.md).

`medusa:` messages come from the reflector alone; `mlogin:` messages pass between client and agent. Each is a dataclass
whose fields carry their checks, and one row of MESSAGES.

Text that is not a control message, an unknown type and broken JSON parse to None. They must be survived because the
original's peers send such things: its client a bare `ping` every 15 s, as a sign of life.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Type

REFLECTOR_PREFIX = "medusa:"
PEER_PREFIX = "mlogin:"

KILLED = "killed"
"""The `outcome` of a session that an administrator ended."""

MAX_WINDOW = 0xFFFF
"""struct winsize holds unsigned shorts."""


@dataclass(frozen=True)
class Control:
    """Any control message."""


# ---------------------------------------------------------------------- checks
# Each takes what JSON gave for a field and returns the field's value, or raises ValueError.


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a string")
    # Undecodable bytes of a command line travel as U+DC80..U+DCFF (PEP 383); no other lone surrogate can be encoded.
    value.encode("utf-8", "surrogateescape")
    return value


def _texts(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple([_text(item) for item in value])


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError("not a whole number in range")
        return value

    return check


_natural = _integer(0, 1 << 53)


def _window(value: Any) -> int:
    # A terminal that does not know its size reports 0; the original's clients then send 0 or a wild number.
    return min(_natural(value), MAX_WINDOW)


def _check(function: Callable[[Any], object]) -> Mapping[str, Any]:
    return {"check": function}


_TEXT, _TEXTS, _NATURAL, _WINDOW = map(_check, (_text, _texts, _natural, _window))
_STATUS = _check(_integer(0, 255))


# ---------------------------------------------------------------------- messages


@dataclass(frozen=True)
class Wait(Control):
    """Reflector to client: no agent yet.

    Attributes:
        outcome: KILLED if an administrator has ended the session: a Close follows, and the client does not attach
            again. None while the session waits.
    """

    outcome: Optional[str] = field(default=None, metadata=_TEXT)


@dataclass(frozen=True)
class Linkup(Control):
    """Reflector to both: everything from here on is forwarded."""


@dataclass(frozen=True)
class Notice(Control):
    """Reflector to client: words for the user."""

    text: str = field(metadata=_TEXT)


@dataclass(frozen=True)
class Start(Control):
    """Client to agent: run this. Empty strings and None mean the agent's defaults."""

    cwd: str = field(default="", metadata=_TEXT)
    term: str = field(default="", metadata=_TEXT)
    columns: Optional[int] = field(default=None, metadata=_WINDOW)
    lines: Optional[int] = field(default=None, metadata=_WINDOW)
    command: str = field(default="", metadata=_TEXT)
    arguments: Tuple[str, ...] = field(default=(), metadata=_TEXTS)


@dataclass(frozen=True)
class Resize(Control):
    """Client to agent: the window has this size now."""

    columns: int = field(metadata=_WINDOW)
    lines: int = field(metadata=_WINDOW)


@dataclass(frozen=True)
class Started(Control):
    """Agent to client: the child runs."""

    pid: int = field(metadata=_NATURAL)


@dataclass(frozen=True)
class Error(Control):
    """Agent to client: the child could not be started."""

    error: str = field(metadata=_TEXT)


@dataclass(frozen=True)
class Exit(Control):
    """Agent to client, after the last output.

    An original agent sets neither field: the status is unknown, the end was clean.
    """

    status: Optional[int] = field(default=None, metadata=_STATUS)
    signal: Optional[str] = field(default=None, metadata=_TEXT)


MESSAGES: Dict[Tuple[str, str], Type[Any]] = {
    (REFLECTOR_PREFIX, "wait"): Wait,
    (REFLECTOR_PREFIX, "linkup"): Linkup,
    (REFLECTOR_PREFIX, "notice"): Notice,
    (PEER_PREFIX, "start"): Start,
    (PEER_PREFIX, "resize"): Resize,
    (PEER_PREFIX, "started"): Started,
    (PEER_PREFIX, "error"): Error,
    (PEER_PREFIX, "exit"): Exit,
}
"""(prefix, type on the wire) -> class. The only place that knows the names."""

_NAMES = {cls: key for key, cls in MESSAGES.items()}


def build(message: Control) -> str:
    """The text of a control message; fields that are None are left out."""
    prefix, name = _NAMES[type(message)]
    body: Dict[str, Any] = {"type": name}
    body.update((key, value) for key, value in asdict(message).items() if value is not None)
    return prefix + json.dumps(body, separators=(",", ":"))


def parse(text: str) -> Optional[Control]:
    """The control message in `text`, or None: it is no such message, unknown, or a field has the wrong type."""
    for prefix in (REFLECTOR_PREFIX, PEER_PREFIX):
        if text.startswith(prefix):
            return _parse_body(prefix, text[len(prefix) :])
    return None


def _parse_body(prefix: str, body: str) -> Optional[Control]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    name = record.get("type")
    cls = MESSAGES.get((prefix, name)) if isinstance(name, str) else None
    if cls is None:
        return None
    try:
        given = {f.name: f.metadata["check"](record[f.name]) for f in fields(cls) if f.name in record}
        message: Control = cls(**given)
    except (TypeError, ValueError):
        return None
    return message

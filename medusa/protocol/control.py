"""Control messages: TEXT messages of a prefix and one JSON object with a `type` (docs/protocol.md).

`medusa:` messages come from the reflector alone; `mlogin:` messages pass between client and agent. One dataclass a
message, one table; text that is not a control message, unknown types and broken JSON parse to None, because
the original's peers send such things and must be survived: its client a bare `ping` every 15 s, as a sign of life.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Dict, List, Optional, Tuple, Type, Union

REFLECTOR_PREFIX = "medusa:"
PEER_PREFIX = "mlogin:"

KILLED = "killed"
"""The `outcome` of a session that an administrator ended."""

MAX_WINDOW = 0xFFFF
"""struct winsize holds unsigned shorts."""


@dataclass(frozen=True)
class Wait:
    """Reflector to client: no agent yet.

    Attributes:
        outcome: KILLED if an administrator has ended the session: a Close follows, and the client does not attach
            again. None while the session waits.
    """

    outcome: Optional[str] = None


@dataclass(frozen=True)
class Linkup:
    """Reflector to both: everything from here on is forwarded."""


@dataclass(frozen=True)
class Notice:
    """Reflector to client: words for the user."""

    text: str


@dataclass(frozen=True)
class Start:
    """Client to agent: run this. Empty strings and None mean the agent's defaults."""

    cwd: str = ""
    term: str = ""
    columns: Optional[int] = None
    lines: Optional[int] = None
    command: str = ""
    arguments: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Resize:
    """Client to agent: the window has this size now."""

    columns: int
    lines: int


@dataclass(frozen=True)
class Started:
    """Agent to client: the child runs."""

    pid: int


@dataclass(frozen=True)
class Error:
    """Agent to client: the child could not be started."""

    error: str


@dataclass(frozen=True)
class Exit:
    """Agent to client, after the last output. Neither field set: an original agent, status unknown, the end clean."""

    status: Optional[int] = None
    signal: Optional[str] = None


Control = Union[Wait, Linkup, Notice, Start, Resize, Started, Error, Exit]

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
    body = {"type": name}
    body.update((key, value) for key, value in asdict(message).items() if value is not None)
    return prefix + json.dumps(body, separators=(",", ":"))


def parse(text: str) -> Optional[Control]:
    """The control message in `text`, or None where it is none, unknown, or its fields have the wrong types."""
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
    given = [field.name for field in fields(cls) if field.name in record]
    try:
        message: Control = cls(**{name: _CHECKS[name](record[name]) for name in given})
    except (TypeError, ValueError):
        return None
    return message


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a string")
    # Undecodable bytes of a command line travel as U+DC80..U+DCFF (PEP 383); no other lone surrogate can be encoded.
    value.encode("utf-8", "surrogateescape")
    return value


def _integer(low: int, high: int, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError("not a whole number in range")
    return value


def _window(value: Any) -> int:
    # A terminal that does not know its size reports 0; the original's clients then send 0 or a wild number.
    return min(_integer(0, 1 << 53, value), MAX_WINDOW)


def _texts(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    items: List[str] = [_text(item) for item in value]
    return tuple(items)


_CHECKS = {
    "outcome": _text,
    "text": _text,
    "cwd": _text,
    "term": _text,
    "columns": _window,
    "lines": _window,
    "command": _text,
    "arguments": _texts,
    "pid": lambda value: _integer(0, 1 << 53, value),
    "error": _text,
    "status": lambda value: _integer(0, 255, value),
    "signal": _text,
}

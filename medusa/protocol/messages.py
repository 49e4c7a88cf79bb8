"""The messages that a transport hands over, and the limits that hold on every transport."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Union

MAX_MESSAGE = 16 * 1024 * 1024
"""Limit of one message in bytes; a message in fragments is held in memory. Autobahn's largest case (9.1.6) needs it."""

STREAM_ABOVE = 64 * 1024
"""Bytes. Whole frames above this are relayed as they arrive, so a relay's memory does not grow with the message."""

MAX_CONTROL_PAYLOAD = 125
"""Bytes (RFC 6455 section 5.5)."""

MAX_REASON = 123
"""Bytes of UTF-8 in a close reason: what a control frame holds besides the two bytes of its code."""


class Kind(enum.IntEnum):
    """The kinds of message that are forwarded, as RFC 6455 opcodes. Text carries control, binary terminal bytes."""

    TEXT = 1
    BINARY = 2


@dataclass(frozen=True)
class Text:
    """A whole text message, valid UTF-8."""

    text: str


@dataclass(frozen=True)
class Binary:
    """A whole binary message, possibly empty."""

    data: bytes


@dataclass(frozen=True)
class Ping:
    """At most 125 bytes. The transport answers it; it is handed over as a sign of life."""

    payload: bytes = b""


@dataclass(frozen=True)
class Pong:
    """The answer to a ping, or an unsolicited sign of life."""

    payload: bytes = b""


@dataclass(frozen=True)
class Close:
    """The polite end. `code` is None if the peer gave none (RFC 6455 section 7.1.5)."""

    code: Union[int, None] = 1000
    reason: str = ""


Message = Union[Text, Binary, Ping, Pong, Close]


def clip_reason(reason: str) -> str:
    """`reason` cut at a character boundary so that it fits a close frame."""
    return reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")

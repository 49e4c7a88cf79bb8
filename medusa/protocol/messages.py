"""What a transport hands over, and the limits that hold on every transport."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Union

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes in one message. Autobahn's largest case (9.1.6) is 16 MiB; what is reassembled is held in memory."""

STREAM_ABOVE = 64 * 1024
"""Whole frames above this are relayed as they arrive, so a relay's memory does not grow with the message."""

MAX_CONTROL_PAYLOAD = 125
"""RFC 6455 section 5.5: control frames have a payload of 125 bytes or less."""

MAX_REASON = 123
"""A close reason, in bytes of UTF-8: what a control frame holds beside its two-byte code."""


class Kind(enum.IntEnum):
    """The two kinds of message that are forwarded, as RFC 6455 opcodes. Text carries control, binary terminal bytes."""

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
    """At most 125 bytes. Answered by the transport itself; handed over as a sign of life."""

    payload: bytes = b""


@dataclass(frozen=True)
class Pong:
    """The answer to a ping, or an unsolicited sign of life."""

    payload: bytes = b""


@dataclass(frozen=True)
class Close:
    """The polite end. `code` is None where the peer gave none (RFC 6455 section 7.1.5)."""

    code: Union[int, None] = 1000
    reason: str = ""


Message = Union[Text, Binary, Ping, Pong, Close]


def clip_reason(reason: str) -> str:
    """`reason` cut at a character boundary so that it fits a close frame."""
    return reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")

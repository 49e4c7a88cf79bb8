"""The message types that every transport sends and receives, and the size limits for all transports."""

from __future__ import annotations

import enum
from typing import Union

from medusa.protocol.record import record

MAX_MESSAGE = 16 * 1024 * 1024
"""The default limit of one message, in bytes. A message in fragments is kept in memory until its last fragment comes.

The largest case of the Autobahn test suite (9.1.6) has this size.
"""

STREAM_ABOVE = 64 * 1024
"""The default size, in bytes, above which a relay forwards an unfragmented message piece by piece, as it arrives.

So the relay's memory does not grow with the size of the message.
"""

MAX_CONTROL_PAYLOAD = 125
"""The limit of the payload of a Ping, Pong or Close frame, in bytes (RFC 6455 section 5.5)."""

MAX_REASON = 123
"""The limit of a close reason, in bytes of UTF-8: MAX_CONTROL_PAYLOAD minus the two bytes of the close code."""


class Kind(enum.IntEnum):
    """The kinds of message that a relay forwards, as RFC 6455 opcodes.

    Text messages are control messages. Binary messages hold terminal input or output.
    """

    TEXT = 1
    BINARY = 2


@record
class Text:
    """A whole text message."""

    text: str


@record
class Binary:
    """A whole binary message. It may be empty."""

    data: bytes

    def __init__(self, data: bytes) -> None:  # faster than that of a record: each key makes some
        self.__dict__["data"] = data


@record
class Part:
    """A part of a long binary message. Only a link that was told to read in parts returns it.

    Attributes:
        first: True if the message begins with this part.
    """

    data: memoryview
    first: bool


@record
class Ping:
    """A ping, with a payload of at most 125 bytes.

    The transport answers a received Ping itself, and then passes it to the caller as a sign of life.
    """

    payload: bytes = b""


@record
class Pong:
    """The answer to a Ping, with the same payload. A peer may also send one without a Ping, as a sign of life."""

    payload: bytes = b""


@record
class Close:
    """The message that ends a link politely. `code` is None if the peer sent no code (RFC 6455 section 7.1.5)."""

    code: Union[int, None] = 1000
    reason: str = ""


Message = Union[Text, Binary, Part, Ping, Pong, Close]


def clip_reason(reason: str) -> str:
    """Returns `reason`, cut at a character boundary if it does not fit into a close frame."""
    return reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")

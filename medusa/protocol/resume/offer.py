"""The offer of a stream, which the client puts into `start`, and the check of a parsed offer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

from medusa.protocol.resume.records import LEAST_LIMIT, MAX_MESSAGE


@dataclass(frozen=True)
class StreamOffer:
    """The field of `start` by which a client offers a stream (docs/protocol.md, part 3).

    Attributes:
        id: the stream's id, 32 hexadecimal digits.
        resume: True if the stream exists, and goes on over this link.
        received: the number of bytes of the stream that have arrived at the client.
        message: the length of the longest message that the client reads, in bytes.
    """

    id: str
    resume: bool = False
    received: int = 0
    message: int = MAX_MESSAGE
    version: int = 1
    security: str = "plain"


def check_identifier(value: Any) -> str:
    """Returns `value` if it is 32 hexadecimal digits, in lower case. Raises ValueError if it is anything else."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{32}", value):
        raise ValueError("not 32 hexadecimal digits")
    return value


def check_offer(value: Any) -> Optional[StreamOffer]:
    """Returns the offer in `value`, a part of parsed JSON. None if it is no offer that this version understands.

    None is also returned for a malformed offer, and for one of a later version. The agent then does what an agent
    without streams does: it starts the command of `start`.
    """
    if not isinstance(value, dict) or value.get("version") != 1 or value.get("security", "plain") != "plain":
        return None
    received, message = value.get("received", 0), value.get("message", LEAST_LIMIT)
    if not (_is_size(received) and _is_size(message) and message >= LEAST_LIMIT):
        return None
    try:
        return StreamOffer(check_identifier(value.get("id")), value.get("resume", False) is True, received, message)
    except ValueError:
        return None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63

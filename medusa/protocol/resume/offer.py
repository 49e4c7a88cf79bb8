"""Defines the offer of a stream, which a client puts into its message `start`, and checks a received offer."""

from __future__ import annotations

import re
from typing import Any, Optional

from medusa.protocol.record import record
from medusa.protocol.resume.records import LEAST_LIMIT, MAX_MESSAGE

KEEP = 3600
"""Seconds for which the agent keeps a stream after its link is lost, unless the offer says otherwise."""

MAX_KEEP = 31536000
"""The most seconds that an offer may ask for: a year."""


@record
class StreamOffer:
    """A client's offer of a stream: a field of its message `start` (docs/protocol.md, part 3).

    Attributes:
        id: the stream's id, 32 hexadecimal digits.
        resume: True if the stream exists already, and has to go on over this link.
        received: the number of bytes of the stream that have arrived at the client.
        keep: for how many seconds the agent keeps the stream after its link is lost. With 0, the stream ends with the
            link.
        message: the length of the longest message that the client reads, in bytes.
        number: the number of this offer: the client numbers its offers of the stream 1, 2, 3 and so on, over all links.
            The agent refuses an offer if it has already got one with a larger number. 0: the client does not number its
            offers.
        stays: True if the client comes back after the loss of its link even if all its commands have ended, because it
            may start more of them.
    """

    id: str
    resume: bool = False
    received: int = 0
    message: int = MAX_MESSAGE
    version: int = 1
    security: str = "plain"
    keep: int = KEEP
    number: int = 0
    stays: bool = False


def check_identifier(value: Any) -> str:
    """Returns `value` if it is 32 hexadecimal digits, in lower case. Raises ValueError if it is anything else."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{32}", value):
        raise ValueError("not 32 hexadecimal digits")
    return value


def check_offer(value: Any) -> Optional[StreamOffer]:
    """Returns the offer of a stream that `value`, a part of parsed JSON, describes.

    Returns None if the offer is malformed or of another version. The agent then ignores the offer: it starts the
    command that the same message asks for, without a stream.
    """
    if not isinstance(value, dict) or value.get("version") != 1 or value.get("security", "plain") != "plain":
        return None
    try:
        received = _check_integer(value.get("received", 0), (1 << 63) - 1)
        message = _check_integer(value.get("message", LEAST_LIMIT), (1 << 63) - 1, LEAST_LIMIT)
        keep = _check_integer(value.get("keep", KEEP), MAX_KEEP)
        resume = value.get("resume", False) is True
        number = _check_integer(value.get("number", 0), (1 << 53) - 1)
        stays = value.get("stays", False) is True
        name = check_identifier(value.get("id"))
        return StreamOffer(name, resume, received, message, keep=keep, number=number, stays=stays)
    except ValueError:
        return None


def _check_integer(value: Any, most: int, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError("not a whole number in range")
    return value

"""What one worker writes to another beside a descriptor. No I/O.

One line of JSON, then the bytes that were read of the connection. All who write are of one run and one version; what is
not of this form is a bug, and must not become half a connection.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MAX_LETTER = 64 * 1024
"""Bytes. A request head has 16 KiB at the most, and what one read brought behind it as much again."""

MAX_HEADER = 512


class BadLetter(Exception):
    """It is not to be sent, or was not understood."""


class Letter(NamedTuple):
    """`about`: the listener that the descriptor's connection came by, or STATUS. `address`: the peer's, as of a
    socket. `data`: what was read of the connection so far."""

    about: str
    address: tuple[Any, ...] = ()
    data: bytes = b""


STATUS = "status"
"""The descriptor is where to write what lives here, or the answer to what `data` asks."""


def pack(letter: Letter) -> bytes:
    """The packet. Raises BadLetter: it would be too long."""
    header = json.dumps([letter.about, *letter.address]).encode() + b"\n"
    if len(header) > MAX_HEADER or len(header) + len(letter.data) > MAX_LETTER:
        raise BadLetter("a letter of %d bytes" % (len(header) + len(letter.data)))
    return header + letter.data


def unpack(packet: bytes) -> Letter:
    """What `pack` was given. Raises BadLetter."""
    header, newline, data = packet.partition(b"\n")
    if not newline or len(header) >= MAX_HEADER or len(packet) > MAX_LETTER:
        raise BadLetter("no header, or too long")
    try:
        about, *address = json.loads(header)
    except (ValueError, TypeError, RecursionError):
        raise BadLetter("the header is not a list in JSON") from None
    if not isinstance(about, str) or not (address == [] or _is_address(address)):
        raise BadLetter("the header does not tell whose connection this is")
    return Letter(about, tuple(address), data)


def _is_address(address: list[Any]) -> bool:
    """(host, port), or IPv6's (host, port, flow, scope)."""
    host, *numbers = address
    return isinstance(host, str) and len(numbers) in (1, 3) and all(type(number) is int for number in numbers)

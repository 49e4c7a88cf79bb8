"""The records of a stream: what one binary message of a link holds (docs/protocol.md, part 3).

| 2 | offset 64 |                  ACK: all bytes below `offset` have arrived; first, if there is one
| 1 | offset 64 | bytes ...        DATA: bytes of the stream from `offset` on, to the end of the message
"""

from __future__ import annotations

import struct
from typing import Optional, Tuple

from medusa.protocol.errors import StreamError

MAX_MESSAGE = 128 * 1024
"""The limit of a message, in bytes."""

DATA, ACK = 1, 2
RECORD = struct.Struct("!BQ")

MAX_READ = 2 * MAX_MESSAGE
"""Bytes. A link does not read a longer message, so that a peer cannot make this end hold it.

A message that is shorter than this and too long for a record ends the stream with `bad-record`.
"""

MAX_DATA = MAX_MESSAGE - 2 * RECORD.size
"""The number of bytes that fit into a message beside an ACK."""

NOTHING = memoryview(b"")


def parse_message(message: bytes) -> Tuple[Optional[int], int, memoryview]:
    """Returns the offset of the ACK, or None; and the offset and the bytes of the DATA record, or 0 and no bytes.

    Raises:
        StreamError: `bad-record`.
    """
    size = len(message)
    if not RECORD.size <= size <= MAX_MESSAGE:
        raise StreamError("bad-record", "a message of %d bytes" % size)
    kind, offset = RECORD.unpack_from(message)
    if kind != ACK:
        return None, offset, _data(message, kind, RECORD.size)
    if size == RECORD.size:
        return offset, 0, NOTHING
    if size < 2 * RECORD.size:
        raise StreamError("bad-record", "a message that ends inside a record")
    kind, start = RECORD.unpack_from(message, RECORD.size)
    return offset, start, _data(message, kind, 2 * RECORD.size)


def _data(message: bytes, kind: int, at: int) -> memoryview:
    if kind != DATA:
        raise StreamError("bad-record", "a record of type %d where DATA belongs" % kind)
    if len(message) == at:
        raise StreamError("bad-record", "a DATA record without bytes")
    return memoryview(message)[at:]

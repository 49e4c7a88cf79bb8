"""The records of a stream: what one binary message of a link holds (docs/protocol.md, part 3).

| 2 | offset 64 |                  ACK: all bytes below `offset` have arrived
| 1 | offset 64 | bytes ...        DATA: bytes of the stream from `offset` on, to the end of the message

A message has one of them, or both: then ACK comes first.
"""

from __future__ import annotations

import struct
from typing import Optional, Tuple

from medusa.protocol.errors import StreamError
from medusa.protocol.resume.byte_queue import Buffer

MAX_MESSAGE = 1024 * 1024
"""The limit of a message, in bytes. A link does not read a longer one."""

LEAST_LIMIT = 128 * 1024
"""Bytes. Every end reads messages up to this size. Longer ones are sent only to an end that says it reads them."""

PARTS_ABOVE = 64 * 1024
"""Bytes. A link returns a longer message in parts, as it arrives."""

DATA, ACK = 1, 2
RECORD = struct.Struct("!BQ")

NOTHING = memoryview(b"")


def parse_message(message: Buffer) -> Tuple[Optional[int], int, memoryview]:
    """Parses a message of records, or its first part. The first part must be longer than two record headers.

    Returns:
        (offset of the ACK or None, offset of the DATA record, its bytes). Without a DATA record: 0 and no bytes.

    Raises:
        StreamError: the message is malformed (`bad-record`).
    """
    size = len(message)
    if size < RECORD.size:
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


def _data(message: Buffer, kind: int, at: int) -> memoryview:
    if kind != DATA:
        raise StreamError("bad-record", "a record of type %d where DATA belongs" % kind)
    if len(message) == at:
        raise StreamError("bad-record", "a DATA record without bytes")
    return memoryview(message)[at:]

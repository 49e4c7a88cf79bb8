"""The frames of raw TCP, version 1 (docs/protocol.md): their header, and the conversion of messages. No I/O.

    | version 4, type 4 | flags 8 | payload length 48 | payload       (bits; network byte order)

One frame is one message. The types have the numbers of the opcodes of RFC 6455. Frames are not masked. No flag is
defined yet.
"""

from __future__ import annotations

import struct
from typing import List, Sequence, Union

from medusa.protocol.errors import BadFrame, MessageTooBig
from medusa.protocol.messages import MAX_CONTROL_PAYLOAD, Message
from medusa.protocol.websocket.codec import MessageCodec, Piece, wire_form
from medusa.protocol.websocket.header import BINARY, CLOSE, PING, PONG, TEXT, Header
from medusa.protocol.websocket.masking import NO_MASK, Buffer

VERSION = 1
HEADER = struct.Struct("!Q")
MAX_LENGTH = (1 << 48) - 1
"""The largest payload length that the header can express, in bytes."""

_KNOWN = frozenset((TEXT, BINARY, CLOSE, PING, PONG))


def parse_header(data: Union[bytes, bytearray, memoryview], at: int, limit: int) -> Union[Header, int]:
    """Parses the frame header that begins at `data[at]`.

    Args:
        limit: the limit of the payload of a data frame, in bytes.

    Returns:
        The header. If a part of it is missing: the number of bytes, counted from `at`, that are needed to parse
        further.

    Raises:
        BadFrame, MessageTooBig: the header breaks a rule. Raised as soon as the first wrong byte is there.
    """
    have = len(data) - at
    if have < 1:
        return 1
    version, kind = data[at] >> 4, data[at] & 0x0F
    if version != VERSION:
        raise BadFrame("frame of version %d" % version)
    if kind not in _KNOWN:
        raise BadFrame("unknown frame type %d" % kind)
    if have < 2:
        return 2
    if data[at + 1]:
        raise BadFrame("unknown frame flags 0x%02x" % data[at + 1])
    if have < HEADER.size:
        return HEADER.size
    length = HEADER.unpack_from(data, at)[0] & MAX_LENGTH
    if kind & 0x08 and length > MAX_CONTROL_PAYLOAD:
        raise BadFrame("control frame above %d bytes" % MAX_CONTROL_PAYLOAD)
    if length > limit and not kind & 0x08:
        raise MessageTooBig("message above the limit of %d bytes" % limit)
    return Header(True, kind, NO_MASK, length, HEADER.size)


def build_header(kind: int, length: int) -> bytes:
    """Returns the header of a frame with `length` bytes of payload."""
    return HEADER.pack((VERSION << 4 | kind) << 56 | length)


class FramedCodec(MessageCodec):
    """The codec of one raw TCP link with frames: converts messages to bytes and back. Both ends use this class."""

    def frame(self, message: Message) -> bytes:
        """Returns the frame of `message`.

        Raises:
            LocalProtocolError: a ping's or pong's payload is above 125 bytes, a close code is illegal, or a text has a
                lone surrogate.
        """
        kind, payload = wire_form(message)
        return build_header(kind, len(payload)) + payload

    def binary(self, pieces: Sequence[Piece]) -> List[Piece]:
        """Returns the frame of a Binary message as a list of pieces. `pieces` hold the bytes of the message."""
        return [build_header(BINARY, sum(map(len, pieces))), *pieces]

    def _parse_header(self, data: Buffer) -> Union[Header, int]:
        return parse_header(data, 0, self._limit)

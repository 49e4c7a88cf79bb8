"""The header of a frame of RFC 6455, and the payload of a close frame. No I/O.

Section numbers in this file are those of RFC 6455.

     0                   1                   2                   3
    |F|R|R|R| opcode|M| length 7    | 16 bits if 126, 64 bits if 127 | key, 4 bytes, if M | payload
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional, Union

from medusa.protocol.errors import BadFrame, BadText, LocalProtocolError, MessageTooBig
from medusa.protocol.messages import MAX_CONTROL_PAYLOAD, Close, clip_reason
from medusa.protocol.websocket.masking import NO_MASK, Buffer

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
MASKED = 0x80
_KNOWN = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))


class Header(NamedTuple):
    """The header of a frame (RFC 6455 section 5.2).

    Attributes:
        fin: True if this is the last or only frame of its message.
        key: the masking key of the payload; NO_MASK if there is none.
        length: the length of the payload in bytes.
        size: the length of the header itself in bytes.
    """

    fin: bool
    opcode: int
    key: bytes
    length: int
    size: int


def parse_header(data: Buffer, at: int, masked: bool, limit: int) -> Union[Header, int]:
    """Parses the frame header that begins at `data[at]`.

    Args:
        masked: True if the peer must mask its frames; False if it must not mask them.
        limit: the limit of the payload of a data frame, in bytes.

    Returns:
        The header. If a part of it is missing: the number of bytes, counted from `at`, that are needed to parse
        further.

    Raises:
        BadFrame, MessageTooBig: the header breaks a rule. Raised as soon as the first wrong byte is there.
    """
    have = len(data) - at
    if have < 2:
        return 2
    first, second = data[at], data[at + 1]
    if first & 0x70:
        raise BadFrame("reserved bits are set")  # section 5.2: extensions use them, and none is agreed on
    opcode = first & 0x0F
    if opcode not in _KNOWN:
        raise BadFrame("unknown opcode %d" % opcode)
    if bool(second & MASKED) is not masked:
        raise BadFrame("frame is not masked" if masked else "frame is masked")  # section 5.1
    length = second & 0x7F
    if opcode & 0x08:
        if not first & FIN:
            raise BadFrame("fragmented control frame")  # section 5.5
        if length > MAX_CONTROL_PAYLOAD:
            raise BadFrame("control frame above %d bytes" % MAX_CONTROL_PAYLOAD)
    extended = {126: 2, 127: 8}.get(length, 0)
    size = 2 + extended + (4 if masked else 0)
    if have < 2 + extended:
        return 2 + extended
    if extended:
        length = _extended_length(data, at + 2, extended)
    if length > limit and not opcode & 0x08:
        raise MessageTooBig("message above the limit of %d bytes" % limit)
    if have < size:
        return size
    key = bytes(data[at + size - 4 : at + size]) if masked else NO_MASK
    return Header(bool(first & FIN), opcode, key, length, size)


def _extended_length(data: Buffer, at: int, width: int) -> int:
    (length,) = struct.unpack_from("!H" if width == 2 else "!Q", data, at)
    if length >> 63:
        raise BadFrame("payload length above 63 bits")
    if length < (126 if width == 2 else 0x10000):
        raise BadFrame("payload length not in its shortest form")  # section 5.2: MUST be minimal
    return int(length)


def build_header(opcode: int, length: int, key: Optional[bytes] = None) -> bytes:
    """Returns the header of an unfragmented frame. The frame is masked if there is a `key` (4 bytes)."""
    bit = MASKED if key is not None else 0
    if length < 126:
        header = struct.pack("!BB", FIN | opcode, bit | length)
    elif length < 0x10000:
        header = struct.pack("!BBH", FIN | opcode, bit | 126, length)
    else:
        header = struct.pack("!BBQ", FIN | opcode, bit | 127, length)
    return header + key if key is not None else header


def legal_close_code(code: int) -> bool:
    """Returns True if a close frame may hold `code` (RFC 6455 section 7.4 and the IANA registry)."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def parse_close(payload: bytes) -> Close:
    """Parses the payload of a close frame (RFC 6455 sections 5.5.1 and 7.4). Returns it as a Close.

    Raises BadFrame or BadText if the payload is illegal.
    """
    if not payload:
        return Close(None, "")
    if len(payload) == 1:
        raise BadFrame("close frame of one byte")
    (code,) = struct.unpack_from("!H", payload)
    if not legal_close_code(code):
        raise BadFrame("illegal close code %d" % code)
    try:
        return Close(code, payload[2:].decode("utf-8"))
    except UnicodeDecodeError:
        raise BadText("close reason is not UTF-8") from None


def close_payload(close: Close) -> bytes:
    """Returns the payload of a close frame for `close`. Cuts the reason if it is too long.

    Raises:
        LocalProtocolError: a close frame may not hold this code.
    """
    if close.code is None:
        return b""
    if not legal_close_code(close.code):
        raise LocalProtocolError("close code %d may not be sent" % close.code)
    return struct.pack("!H", close.code) + clip_reason(close.reason).encode("utf-8")

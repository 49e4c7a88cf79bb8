"""The frames of RFC 6455: their header, and the conversion between messages and bytes. No I/O.

Section numbers in this file are those of RFC 6455. While a session is linked, the reflector does not use the
codecs: its relay (relay.py) turns the bytes of one link directly into the bytes for the other.

     0                   1                   2                   3
    |F|R|R|R| opcode|M| length 7    | 16 bits if 126, 64 bits if 127 | key, 4 bytes, if M | payload
"""

from __future__ import annotations

import codecs
import enum
import struct
from typing import Callable, NamedTuple, Optional, Tuple, Union

from medusa.protocol.errors import BadFrame, BadText, LocalProtocolError, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import (
    MAX_CONTROL_PAYLOAD,
    MAX_MESSAGE,
    Binary,
    Close,
    Kind,
    Message,
    Ping,
    Pong,
    Text,
    clip_reason,
)
from medusa.protocol.websocket.masking import NO_MASK, PURE_LIMIT, Buffer, apply_mask, apply_mask_pure


class Role(enum.Enum):
    """The role of this end in the handshake. A client masks its frames, a server does not (RFC 6455 section 5.1)."""

    CLIENT = "client"
    SERVER = "server"


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
MASKED = 0x80
_KNOWN = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))


class Header(NamedTuple):
    """The header of a frame (RFC 6455 section 5.2).

    Attributes:
        fin: True if this is the last or only frame of its message.
        key: the masking key of the payload, NO_MASK if there is none.
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
        The header. If it is not all there yet: the number of bytes from `at` that are needed to parse further.

    Raises:
        BadFrame, MessageTooBig: the header breaks a rule. Raised as soon as the first wrong byte is there.
    """
    have = len(data) - at
    if have < 2:
        return 2
    first, second = data[at], data[at + 1]
    if first & 0x70:
        raise BadFrame("reserved bits are set")  # section 5.2: no extension is ever agreed on
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
    """Parses the payload of a close frame (RFC 6455 sections 5.5.1, 7.4).

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
    """Returns the payload of the frame of `close`. Cuts the reason if it is too long.

    Raises:
        LocalProtocolError: a close frame may not hold this code.
    """
    if close.code is None:
        return b""
    if not legal_close_code(close.code):
        raise LocalProtocolError("close code %d may not be sent" % close.code)
    return struct.pack("!H", close.code) + clip_reason(close.reason).encode("utf-8")


class Fragments:
    """A buffer that puts the fragments of a message together. It is used for one message after another.

    It checks the order, the total size and the UTF-8 of the fragments as they arrive. The number of fragments has no
    limit.

    Args:
        limit: the limit of one message, in bytes.

    Attributes:
        started: True if a fragmented message has begun and has not ended yet.
        size: the number of payload bytes of this message that have come so far.
    """

    def __init__(self, limit: int) -> None:
        self.started = False
        self.size = 0
        self._limit = limit
        self._kind = Kind.BINARY
        self._data = bytearray()
        self._kept = True
        self._utf8: Optional[codecs.IncrementalDecoder] = None  # only for a text message

    @property
    def held(self) -> int:
        """The number of payload bytes that are kept in memory now."""
        return len(self._data)

    def check(self, header: Header) -> None:
        """Checks the header of the next data frame (RFC 6455 section 5.4). Call it before the payload is added.

        Raises:
            BadFrame: the frame continues a message, but none has begun. Or the frame begins a new message, but a
                fragmented one has not ended.
            MessageTooBig: the message would exceed the limit.
        """
        if (header.opcode == CONTINUATION) is not self.started:
            raise BadFrame("continuation of nothing" if header.opcode == CONTINUATION else "message inside a message")
        if self.size + header.length > self._limit:
            raise MessageTooBig("message above the limit of %d bytes" % self._limit)

    def begin(self, kind: Kind) -> None:
        """Begins a fragmented message of `kind`. Then call `add` for each piece of payload, and `finish` at the end."""
        self.started, self._kind = True, kind
        self._utf8 = codecs.getincrementaldecoder("utf-8")() if kind is Kind.TEXT else None

    def add(self, piece: Buffer) -> None:
        """Appends payload bytes to the message. Raises BadText if the bytes of a text message are not UTF-8."""
        self._decode(piece, final=False)
        self.size += len(piece)
        if self._kept:
            self._data += piece

    def drop(self) -> None:
        """Drops the data of the message that is arriving. The rest of the message is still checked, but not kept."""
        self._kept = not self.started
        self._data.clear()

    def finish(self) -> Tuple[Kind, bytearray]:
        """Ends the message, and returns its kind and its data. The data are empty if the message was dropped.

        Raises:
            BadText: the text message ends inside a character.
        """
        self._decode(b"", final=True)
        data, self._data = self._data, bytearray()
        self.started, self.size, self._kept = False, 0, True
        return self._kind, data

    def _decode(self, piece: Buffer, final: bool) -> None:
        if self._utf8 is None:
            return
        try:
            self._utf8.decode(piece, final)
        except UnicodeDecodeError:
            raise BadText("text message is not UTF-8") from None


class MessageCodec:
    """The base class of codecs: it turns the bytes that arrive on one link into whole messages.

    Call `receive_data` with bytes from the stream, then `next_message` until it returns None. Each framing has a
    subclass, which parses its headers and has a method `frame` for the other direction. The transport, not the codec,
    answers pings and closes.

    Args:
        max_message: the limit of one message, in bytes.
    """

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._limit = max_message
        self._buffer = bytearray()
        self._header: Optional[Header] = None
        self._fragments = Fragments(max_message)
        self._failed = False

    def _parse_header(self) -> Union[Header, int]:
        """Returns the header at the start of the buffer, or the number of bytes that are needed to parse further.

        Raises:
            BadFrame, MessageTooBig: the header breaks a rule.
        """
        raise NotImplementedError

    def receive_data(self, data: bytes) -> None:
        """Stores bytes from the stream. Then call `next_message` until it returns None."""
        if not self._failed:
            self._buffer += data

    def next_message(self) -> Optional[Message]:
        """Returns the next whole message, or None if more bytes are needed.

        Raises:
            RemoteProtocolError: the peer broke the rules. Raised only once: later calls ignore all input, and return
                None.
        """
        if self._failed:
            return None
        try:
            while True:
                frame = self._next_frame()
                if frame is None:
                    return None
                message = self._message(*frame)
                if message is not None:
                    return message
        except RemoteProtocolError:
            self._failed = True
            self._buffer.clear()
            raise

    def _next_frame(self) -> Optional[Tuple[Header, bytes]]:
        """Removes the next whole frame from the buffer. Returns its header and its unmasked payload.

        Returns None if more bytes are needed.
        """
        header = self._header
        if header is None:
            found = self._parse_header()
            if isinstance(found, int):
                return None
            if not found.opcode & 0x08:
                self._fragments.check(found)
            header = self._header = found
        end = header.size + header.length
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            payload = bytes(view[header.size : end])
        del self._buffer[:end]
        self._header = None
        return header, payload if header.key == NO_MASK else apply_mask(payload, header.key)

    def _message(self, header: Header, payload: bytes) -> Optional[Message]:
        """Returns the message that ends with this frame, or None if more fragments of the message must follow."""
        if header.opcode & 0x08:
            return parse_control(header.opcode, payload)
        if not header.fin and header.opcode != CONTINUATION:
            self._fragments.begin(Kind(header.opcode))
        if self._fragments.started:
            self._fragments.add(payload)
            if not header.fin:
                return None
            kind, whole = self._fragments.finish()
            payload = bytes(whole)
        else:
            kind = Kind(header.opcode)
        if kind is Kind.BINARY:
            return Binary(payload)
        try:
            return Text(payload.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadText("text message is not UTF-8") from None


class WebSocketCodec(MessageCodec):
    """The codec of one websocket: converts messages to bytes and back.

    Args:
        role: the role of this end.
        new_key: a function that returns 4 unpredictable bytes. A client calls it for each frame (RFC 6455 section
            5.3), but not for those that are larger than PURE_LIMIT if there is no C routine to mask them.
        max_message: the limit of one message, in bytes.
    """

    def __init__(self, role: Role, new_key: Callable[[], bytes], max_message: int = MAX_MESSAGE) -> None:
        super().__init__(max_message)
        self._role = role
        self._new_key = new_key

    def frame(self, message: Message) -> bytes:
        """Returns the frame of `message`.

        Raises:
            LocalProtocolError: a ping's or pong's payload is above 125 bytes, a close code is illegal, or a text has a
                lone surrogate.
        """
        opcode, payload = wire_form(message)
        if self._role is Role.SERVER:
            return build_header(opcode, len(payload)) + payload
        costly = len(payload) > PURE_LIMIT and apply_mask is apply_mask_pure
        key = NO_MASK if costly else self._new_key()
        return build_header(opcode, len(payload), key) + (payload if costly else apply_mask(payload, key))

    def _parse_header(self) -> Union[Header, int]:
        return parse_header(self._buffer, 0, self._role is Role.SERVER, self._limit)


def parse_control(opcode: int, payload: bytes) -> Union[Ping, Pong, Close]:
    """Returns the message of a control frame. Raises BadFrame or BadText for an illegal close frame."""
    if opcode == CLOSE:
        return parse_close(payload)
    return Ping(payload) if opcode == PING else Pong(payload)


def wire_form(message: Message) -> Tuple[int, bytes]:
    """Returns the opcode and the payload of the frame of `message`.

    Raises:
        LocalProtocolError: no legal frame can hold the message.
    """
    if isinstance(message, Binary):
        return BINARY, message.data
    if isinstance(message, Text):
        try:
            return TEXT, message.text.encode("utf-8")
        except UnicodeEncodeError:
            raise LocalProtocolError("text with a lone surrogate") from None
    if isinstance(message, Close):
        return CLOSE, close_payload(message)
    if len(message.payload) > MAX_CONTROL_PAYLOAD:
        raise LocalProtocolError("control payload above %d bytes" % MAX_CONTROL_PAYLOAD)
    return (PING if isinstance(message, Ping) else PONG), message.payload

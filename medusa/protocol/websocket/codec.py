"""Converts between messages and the frames of RFC 6455. No I/O.

Section numbers in this file are those of RFC 6455. While a session is linked, the reflector does not use the
codecs: its relay (relay.py) turns the bytes of one link directly into the bytes for the other.
"""

from __future__ import annotations

import codecs
import enum
from typing import Callable, List, Optional, Sequence, Tuple, Union

from medusa.protocol.errors import BadFrame, BadText, LocalProtocolError, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import (
    MAX_CONTROL_PAYLOAD,
    MAX_MESSAGE,
    Binary,
    Close,
    Kind,
    Message,
    Part,
    Ping,
    Pong,
    Text,
)
from medusa.protocol.websocket.header import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Header,
    build_header,
    close_payload,
    parse_close,
    parse_header,
)
from medusa.protocol.websocket.masking import NO_MASK, PURE_LIMIT, Buffer, apply_mask, apply_mask_pure

Piece = Union[bytes, memoryview]


MAX_HEADER = 14
"""The longest header of a frame, in bytes."""

FIRST_PART = 64
"""The least bytes of the first part of a message. They hold the headers of the records in the message."""


class Role(enum.Enum):
    """The role of this end in the handshake. A client masks its frames, a server does not (RFC 6455 section 5.1)."""

    CLIENT = "client"
    SERVER = "server"


class Fragments:
    """A buffer that puts the fragments of a message together. It is used for one message after another.

    It checks the order, the total size and the UTF-8 of the fragments as they arrive. The number of fragments has no
    limit.

    Args:
        limit: the limit of one message, in bytes.

    Attributes:
        started: True if a fragmented message has begun and has not ended yet.
        limit: the limit of one message, in bytes. It may be changed.
        size: the number of payload bytes of this message that have come so far.
    """

    __slots__ = ("_data", "_kept", "_kind", "_utf8", "limit", "size", "started")

    def __init__(self, limit: int) -> None:
        self.started = False
        self.size = 0
        self.limit = limit
        self._kind = Kind.BINARY
        self._data = bytearray()
        self._kept = True
        self._utf8: Optional[codecs.IncrementalDecoder] = None  # None for a binary message

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
        if self.size + header.length > self.limit:
            raise MessageTooBig("message above the limit of %d bytes" % self.limit)

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

    __slots__ = ("_at", "_buffer", "_failed", "_fragments", "_header", "_left", "_limit", "_parted", "_parts_above")

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._limit = max_message
        self._parts_above: Optional[int] = None
        self._parted = 0  # the length of a message that is returned in parts: `_left` is as large before the first part
        self._left = 0  # how many bytes of this message are still to be returned
        self._buffer: Union[bytes, bytearray] = b""
        self._at = 0  # where the unprocessed bytes of `_buffer` begin: to cut the buffer for each frame would be slow
        self._header: Optional[Header] = None
        self._fragments = Fragments(max_message)
        self._failed = False

    def _parse_header(self, data: Buffer) -> Union[Header, int]:
        """Returns the header at the start of `data`.

        If a part of it is missing, returns how many bytes are needed to go on.

        Raises:
            BadFrame, MessageTooBig: the header breaks a rule.
        """
        raise NotImplementedError

    def limit_messages(self, size: int) -> None:
        """Sets the limit of one message to `size` bytes, for all frames whose header has not been parsed yet."""
        self._limit = self._fragments.limit = size

    def read_in_parts(self, above: int) -> None:
        """Makes `next_message` return binary messages of more than `above` bytes in parts, as they arrive.

        So such messages are not kept in memory. A message in fragments, or one that is masked, is still returned as a
        whole.
        """
        self._parts_above = above

    def receive_data(self, data: bytes) -> None:
        """Stores bytes from the stream. Then call `next_message` until it returns None."""
        if self._failed:
            return
        if self._at == len(self._buffer):
            self._buffer = data
        else:
            if self._at or isinstance(self._buffer, bytes):
                self._buffer = bytearray(memoryview(self._buffer)[self._at :])
            self._buffer += data
        self._at = 0

    def next_message(self) -> Optional[Message]:
        """Returns the next message, or None if more bytes are needed.

        After `read_in_parts`, also returns parts of long messages.

        Raises:
            RemoteProtocolError: the peer broke the rules. Raised only once: later calls ignore all input, and return
                None.
        """
        if self._failed:
            return None
        try:
            while True:
                frame = None if self._left else self._next_frame()
                if frame is None:
                    return self._next_part()
                message = self._message(*frame)
                if message is not None:
                    return message
        except RemoteProtocolError:
            self._failed = True
            self._buffer, self._at = b"", 0
            raise

    def _next_frame(self) -> Optional[Tuple[Header, bytes]]:
        """Removes the next whole frame from the buffer. Returns its header and its unmasked payload.

        Returns None if more bytes are needed.
        """
        header = self._header
        if header is None:
            with memoryview(self._buffer) as view:
                found = self._parse_header(view[self._at : self._at + MAX_HEADER])
            if isinstance(found, int):
                return None
            if not found.opcode & 0x08:
                self._fragments.check(found)
            header = self._header = found
        have, parted = len(self._buffer) - self._at, self._is_parted(header)
        if have < header.size + (FIRST_PART if parted else header.length):
            return None
        self._at += header.size
        self._header = None
        if parted:
            self._left = self._parted = header.length
            return None
        payload = bytes(self._take(header.length))
        return header, payload if header.key == NO_MASK else apply_mask(payload, header.key)

    def _is_parted(self, header: Header) -> bool:
        """True if the message of the frame with `header` is returned in parts."""
        whole = header.fin and header.opcode == BINARY and header.key == NO_MASK
        return whole and self._parts_above is not None and header.length > self._parts_above

    def _next_part(self) -> Optional[Part]:
        size = min(self._left, len(self._buffer) - self._at)
        if not size:
            return None
        first = self._left == self._parted
        self._left -= size
        return Part(self._take(size), first)

    def _take(self, size: int) -> memoryview:
        """Removes `size` bytes from the buffer and returns them. The returned bytes do not change any more."""
        start, self._at = self._at, self._at + size
        if isinstance(self._buffer, bytes):
            data = memoryview(self._buffer)[start : self._at]
        else:
            with memoryview(self._buffer) as view:
                data = memoryview(bytes(view[start : self._at]))
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0
        return data

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
        new_key: a function that returns 4 unpredictable bytes. A client masks each frame with a new key (RFC 6455
            section 5.3). Without the C routine for masking, frames above PURE_LIMIT get the key of zeros instead.
        max_message: the limit of one message, in bytes.
    """

    __slots__ = ("_new_key", "_role")

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
        return b"".join(self._frame(opcode, (payload,)))

    def binary(self, pieces: Sequence[Piece]) -> List[Piece]:
        """Returns the frame of a Binary message as a list of pieces. `pieces` hold the bytes of the message."""
        return self._frame(BINARY, pieces)

    def _frame(self, opcode: int, pieces: Sequence[Piece]) -> List[Piece]:
        size = sum(map(len, pieces))
        if self._role is Role.SERVER:
            return [build_header(opcode, size), *pieces]
        if size > PURE_LIMIT and apply_mask is apply_mask_pure:
            return [build_header(opcode, size, NO_MASK), *pieces]
        key = self._new_key()
        return [build_header(opcode, size, key), apply_mask(b"".join(pieces), key)]

    def _parse_header(self, data: Buffer) -> Union[Header, int]:
        return parse_header(data, 0, self._role is Role.SERVER, self._limit)


def parse_control(opcode: int, payload: bytes) -> Union[Ping, Pong, Close]:
    """Returns the Ping, Pong or Close that a control frame holds.

    Raises BadFrame or BadText for an illegal close frame.
    """
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
    assert not isinstance(message, Part), "parts are only received"
    if len(message.payload) > MAX_CONTROL_PAYLOAD:
        raise LocalProtocolError("control payload above %d bytes" % MAX_CONTROL_PAYLOAD)
    return (PING if isinstance(message, Ping) else PONG), message.payload

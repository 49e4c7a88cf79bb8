"""Converts between messages and the frames of RFC 6455. No I/O.

Section numbers in this file are those of RFC 6455. While a session is linked, the reflector does not use the
codecs: its relay (relay.py) turns the bytes of one link directly into the bytes for the other.
"""

from __future__ import annotations

import enum
from typing import Callable, List, Optional, Sequence, Tuple, Union

from medusa.protocol.errors import BadText, LocalProtocolError, RemoteProtocolError
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
from medusa.protocol.websocket.fragments import Fragments
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
        self._parts_above = 1 << 62  # bytes: no message is so long
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

    @property
    def empty(self) -> bool:
        """True if all bytes that were stored were used for messages."""
        return not self._buffer

    def next_message(self) -> Optional[Message]:
        """Returns the next message, or None if more bytes are needed.

        After `read_in_parts`, also returns parts of long messages.

        Raises:
            RemoteProtocolError: the peer broke the rules. Raised only once: later calls ignore all input, and return
                None.
        """
        if self._failed or not self._buffer:
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
            found = self._parse_header(self._buffer[self._at : self._at + MAX_HEADER])
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
        return whole and header.length > self._parts_above

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
        masked = apply_mask(b"".join(pieces), key)
        if size <= PURE_LIMIT:
            return [build_header(opcode, size, key) + masked]
        return [build_header(opcode, size, key), masked]

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

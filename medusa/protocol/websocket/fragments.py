"""Puts the fragments of a message together (RFC 6455 section 5.4)."""

from __future__ import annotations

import codecs
from typing import Optional, Tuple

from medusa.protocol.errors import BadFrame, BadText, MessageTooBig
from medusa.protocol.messages import Kind
from medusa.protocol.websocket.header import CONTINUATION, Header
from medusa.protocol.websocket.masking import Buffer


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

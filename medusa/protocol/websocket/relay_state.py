"""The state of a relay of websocket frames between two pieces of its input. No I/O."""

from __future__ import annotations

import codecs
import enum
from typing import Optional

from medusa.protocol.relay import FORGED, Unfinished
from medusa.protocol.websocket.fragments import Fragments
from medusa.protocol.websocket.header import CONTINUATION, TEXT, Header
from medusa.protocol.websocket.masking import NO_MASK


class Mode(enum.Enum):
    """The ways in which a WebSocketRelay can handle the payload that is arriving."""

    FORWARD = "it leaves as it arrives"
    COLLECT = "it is added to the fragments"


class RelayState:
    """The base class of WebSocketRelay. Holds the state of a relay between two calls of `feed`.

    Args:
        max_message: the limit of one message, in bytes.
        stream_above: a size in bytes; each larger unfragmented frame is forwarded piece by piece, as it arrives.
    """

    def __init__(self, max_message: int, stream_above: int) -> None:
        self._limit = max_message
        self._stream_above = max(stream_above, len(FORGED))  # a larger frame has enough bytes to check for FORGED
        self._small = min(self._stream_above, max_message)
        self._fragments = Fragments(max_message)
        self._held = bytearray()  # the held bytes: a header or small frame whose rest is still to come
        self._need = 0  # the number of bytes that must come before the held bytes can be parsed
        self._left = 0  # payload bytes of a frame that are still to come; the next five attributes say how to take them
        self._mode = Mode.FORWARD
        self._key = NO_MASK
        self._fin = True
        self._utf8: Optional[codecs.IncrementalDecoder] = None
        self._skip = False
        self._done = False
        self._finished = 0  # data messages that have ended: `unfinished` numbers the current one by it
        self._controls = 0  # control frames that have ended, for the same reason

    @property
    def mid_frame(self) -> bool:
        """True if a part of a frame was forwarded, and the rest of this frame has not come yet."""
        return self._left > 0 and self._mode is Mode.FORWARD and not self._skip

    def skip_message(self) -> None:
        """Drops the message that is arriving, if there is one. Later messages are forwarded as usual."""
        data_frame_begun = bool(self._held) and not self._held[0] & 0x08
        self._skip = data_frame_begun or self._left > 0 or self._fragments.started
        self._fragments.drop()

    def stream_above(self, size: int) -> None:
        """Sets the size, in bytes, above which an unfragmented frame is forwarded piece by piece, as it arrives.

        The new size counts for frames that begin from now on.
        """
        self._stream_above = max(size, len(FORGED))

    def stop(self) -> None:
        """Stops the relay: drops the held bytes, and ignores all later input.

        The held bytes are the start of an unfinished frame or message.
        """
        self._done = True
        self._held = bytearray()
        self._fragments = Fragments(self._limit)

    @property
    def unfinished(self) -> Optional[Unfinished]:
        """The message, or control frame, that has begun to arrive and is not whole yet. None if there is none."""
        if self._fragments.started:
            return Unfinished(self._finished, self._fragments.size)
        if self._left:
            return Unfinished(self._finished, -self._left)
        if self._held and self._held[0] & 0x08:
            return Unfinished(-1 - self._controls, len(self._held))
        return Unfinished(self._finished, len(self._held)) if self._held else None

    @property
    def held(self) -> int:
        """The number of held bytes: the start of an unfinished frame, which the relay keeps until the rest comes."""
        return len(self._held)

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Moves the held bytes to the start of `buffer`, so that the unfinished frame lies in one piece.

        Call it before `feed`. The caller must have left `held` bytes free at the start of `buffer`, and must have read
        new bytes into buffer[held:end]. If the frame is still too short to be parsed, nothing is moved.

        Returns:
            The offset in `buffer` at which the input for `feed` begins.
        """
        held = len(self._held)
        if not held or end < self._need:
            return held
        buffer[:held] = self._held
        self._held = bytearray()
        return 0

    def _needed(self, header: Header) -> int:
        """Returns how many bytes of this frame must have come before `_frame` can handle it.

        Raises:
            BadFrame: the frame continues a message, but none has begun. Or the frame begins a new message, but a
                fragmented one has not ended.
            MessageTooBig: the message would exceed the limit.
        """
        if header.opcode & 0x08:
            return header.size + header.length
        self._fragments.check(header)
        if in_pieces(header):
            return header.size
        if header.length <= self._stream_above:
            return header.size + header.length
        return header.size + (len(FORGED) if header.opcode == TEXT else 0)


def in_pieces(header: Header) -> bool:
    """Returns True if the frame with `header` is one of several fragments of a message."""
    return header.opcode == CONTINUATION or not header.fin

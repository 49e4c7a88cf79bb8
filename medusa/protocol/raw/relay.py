"""The relay faces of raw TCP, and what a peer without frames is told. No I/O."""

from __future__ import annotations

from typing import Optional

from medusa.protocol.control import Linkup, parse
from medusa.protocol.messages import MAX_MESSAGE, STREAM_ABOVE, Binary, Close, Kind, Message, Text
from medusa.protocol.raw.codec import HEADER, MAX_LENGTH, FramedConnection, parse_header
from medusa.protocol.raw.greeting import LINKED, build_refusal
from medusa.protocol.websocket.codec import Header
from medusa.protocol.websocket.masking import Buffer
from medusa.protocol.websocket.relay import FrameHeader, Relayed, WebSocketRelay, bare, is_fit

_TEXT = HEADER.unpack(FramedConnection.frame_header(Kind.TEXT, 0))[0] >> 48
_LF = 0x0A
_BINARY = HEADER.unpack(FramedConnection.frame_header(Kind.BINARY, 0))[0] >> 48


class FramedRelay(WebSocketRelay):
    """As a websocket's, with other headers. To a link of its own kind, frames go as they are."""

    def __init__(self, max_message: int = MAX_MESSAGE, stream_above: int = STREAM_ABOVE) -> None:
        super().__init__(max_message, stream_above)
        self._rewrite = None  # there is none in C

    def _parse_header(self, data: Buffer, at: int) -> Header | int:
        return parse_header(data, at, self._limit)

    def _small_frames(self, data: bytes, at: int, frame_header: FrameHeader, result: Relayed) -> int:
        if self._skip:
            return at
        same = frame_header is FramedConnection.frame_header
        begun, last = at, len(data) - HEADER.size
        messages = size = text = 0
        pieces: list[Buffer] = []
        while at <= last:
            (word,) = HEADER.unpack_from(data, at)
            kind, length = word >> 48, word & MAX_LENGTH
            start = at + HEADER.size
            stop = start + length
            if length > self._small or stop > len(data) or kind not in (_TEXT, _BINARY):
                break
            if kind == _TEXT and (frame_header is bare or not is_fit(data[start:stop])):
                break  # `_frame` says why
            if not same:
                pieces += [frame_header(Kind.TEXT if kind == _TEXT else Kind.BINARY, length), data[start:stop]]
            messages, size, at = messages + 1, size + length, stop
            text += length if kind == _TEXT else 0
        if same and at > begun:
            pieces.append(memoryview(data)[begun:at])
        result.pieces += pieces
        result.messages += messages
        result.size += size
        result.text += text
        return at


class PlainRelay:
    """Reads what a peer without frames sends: each read is one binary message.

    `after_cr`: an LF at the very beginning belongs to the line before.
    """

    mid_frame = False
    held = 0

    def __init__(self, after_cr: bool = False) -> None:
        self._after_cr = after_cr

    def put_back(self, buffer: memoryview, end: int) -> int:
        """There is nothing that would be cheaper."""
        return 0

    def skip_message(self) -> None:
        """What is read is whole."""

    def feed(self, data: Buffer, frame_header: FrameHeader) -> Relayed:
        """What to write to the other link: bytes to one without frames, in the buffer that was given."""
        if self._after_cr:
            self._after_cr = False
            data = data[1:] if data[0] == _LF else data
            if not data:
                return Relayed()
        pieces = [data] if frame_header is bare else [frame_header(Kind.BINARY, len(data)), data]
        return Relayed(pieces, messages=1, size=len(data))


class PlainCodec:
    """The message face toward a peer without frames: bytes, after the lines that tell it how its session stands.

    Attributes:
        linked: it was told that the session is linked; no line follows.
    """

    frame_header = staticmethod(bare)

    def __init__(self) -> None:
        self.linked = False
        self._data = bytearray()

    def receive_data(self, data: bytes) -> None:
        """Store bytes from the stream."""
        self._data += data

    def next_message(self) -> Optional[Message]:
        """What has come, as one message."""
        data, self._data = bytes(self._data), bytearray()
        return Binary(data) if data else None

    def frame(self, message: Message) -> bytes:
        """The bytes that tell of `message`, which may be none: such a peer has no ear for text or pings."""
        if isinstance(message, Binary):
            return message.data
        if isinstance(message, Text) and isinstance(parse(message.text), Linkup) and not self.linked:
            self.linked = True
            return LINKED
        if isinstance(message, Close) and not self.linked:
            return build_refusal(message.code or 1000, message.reason)
        return b""

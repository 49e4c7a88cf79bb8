"""The relays of raw TCP, with frames and without, and what a peer without frames gets to read. No I/O."""

from __future__ import annotations

from typing import Optional

from medusa.protocol.control import Linkup, parse
from medusa.protocol.messages import MAX_MESSAGE, STREAM_ABOVE, Binary, Close, Kind, Message, Text
from medusa.protocol.raw.codec import HEADER, MAX_LENGTH, build_header, parse_header
from medusa.protocol.raw.greeting import LINKED, build_refusal
from medusa.protocol.relay import Framing, Relayed, may_pass
from medusa.protocol.websocket.codec import Header
from medusa.protocol.websocket.masking import Buffer
from medusa.protocol.websocket.relay import WebSocketRelay

FRAMED = Framing("framed", build_header)


def _no_header(kind: Kind, length: int) -> bytes:
    return b""


PLAIN = Framing("plain", _no_header, carries_text=False)

_KINDS = {HEADER.unpack(build_header(kind, 0))[0] >> 48: kind for kind in Kind}
"""The first two bytes of a data frame, as a number -> its kind."""

_TEXT = Kind.TEXT
_LF = 0x0A


class FramedRelay(WebSocketRelay):
    """Like a websocket's relay, with other headers. Frames for a link of the same kind leave as they are."""

    framing = FRAMED

    def __init__(self, max_message: int = MAX_MESSAGE, stream_above: int = STREAM_ABOVE) -> None:
        super().__init__(max_message, stream_above)
        self._rewrite = None  # there is none in C

    def _parse_header(self, data: Buffer, at: int) -> Header | int:
        return parse_header(data, at, self._limit)

    def _small_frames(self, data: bytes, at: int, framing: Framing, result: Relayed) -> int:
        if self._skip:
            return at
        same, header = framing.kind == self.framing.kind, framing.header
        begun, last = at, len(data) - HEADER.size
        messages = size = text = 0
        pieces: list[Buffer] = []
        while at <= last:
            (word,) = HEADER.unpack_from(data, at)
            kind, length = _KINDS.get(word >> 48), word & MAX_LENGTH
            start = at + HEADER.size
            stop = start + length
            if length > self._small or stop > len(data) or kind is None:
                break
            if kind is _TEXT and not (framing.carries_text and may_pass(data[start:stop])):
                break  # `_frame` leaves it out, or raises the fitting error
            if not same:
                pieces += [header(kind, length), data[start:stop]]
            messages, size, at = messages + 1, size + length, stop
            text += length if kind is _TEXT else 0
        if same and at > begun:
            pieces.append(memoryview(data)[begun:at])
        result.pieces += pieces
        result.messages += messages
        result.size += size
        result.text += text
        return at


class PlainRelay:
    """Reads what a peer without frames sends: each read is one binary message.

    Args:
        after_cr: an LF at the very beginning still belongs to the greeting, which ended with CR.
    """

    framing = PLAIN
    mid_frame = False
    held = 0

    def __init__(self, after_cr: bool = False) -> None:
        self._after_cr = after_cr

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Nothing is held."""
        return 0

    def skip_message(self) -> None:
        """Nothing to do: what was read is always a whole message."""

    def feed(self, data: Buffer, framing: Framing) -> Relayed:
        """Make of bytes from the stream what to write to a link of `framing`; the payload is not copied."""
        if self._after_cr:
            self._after_cr = False
            data = data[1:] if data[0] == _LF else data
            if not data:
                return Relayed()
        pieces = [data] if framing.kind == self.framing.kind else [framing.header(Kind.BINARY, len(data)), data]
        return Relayed(pieces, messages=1, size=len(data))


class PlainCodec:
    """Messages to and from a peer without frames: lines until the session is linked, then bare bytes.

    Attributes:
        linked: the line that says so was sent; no other line follows.
    """

    def __init__(self) -> None:
        self.linked = False
        self._data = bytearray()

    def receive_data(self, data: bytes) -> None:
        """Store bytes from the stream."""
        self._data += data

    def next_message(self) -> Optional[Message]:
        """All that was stored, as one message; None if there is nothing."""
        data, self._data = bytes(self._data), bytearray()
        return Binary(data) if data else None

    def frame(self, message: Message) -> bytes:
        """What the peer gets to read for `message`; for most texts and for pings that is nothing."""
        if isinstance(message, Binary):
            return message.data
        if isinstance(message, Text) and isinstance(parse(message.text), Linkup) and not self.linked:
            self.linked = True
            return LINKED
        if isinstance(message, Close) and not self.linked:
            return build_refusal(message.code or 1000, message.reason)
        return b""

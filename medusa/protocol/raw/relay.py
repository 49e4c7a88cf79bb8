"""The relays of raw TCP, with frames and without, and the codec for peers without frames. No I/O."""

from __future__ import annotations

from typing import List, Optional, Sequence, Union

from medusa.protocol.control import Linkup, parse
from medusa.protocol.messages import MAX_MESSAGE, STREAM_ABOVE, Binary, Close, Kind, Message, Text
from medusa.protocol.raw.codec import HEADER, MAX_LENGTH, build_header, parse_header
from medusa.protocol.raw.greeting import LINKED, build_refusal
from medusa.protocol.relay import Framing, Relayed, may_pass
from medusa.protocol.websocket.header import Header
from medusa.protocol.websocket.masking import Buffer
from medusa.protocol.websocket.relay import WebSocketRelay

FRAMED = Framing("framed", build_header)


def _no_header(kind: Kind, length: int) -> bytes:
    return b""


PLAIN = Framing("plain", _no_header, carries_text=False)

_KINDS = {HEADER.unpack(build_header(kind, 0))[0] >> 48: kind for kind in Kind}
"""Maps the first two bytes of a data frame, as a number, to the kind of its message."""

_TEXT = Kind.TEXT
_LF = 0x0A


class FramedRelay(WebSocketRelay):
    """A relay that reads from a raw TCP link with frames. It works like WebSocketRelay, with other headers.

    It forwards frames unchanged if the other link is also raw TCP with frames.
    """

    framing = FRAMED

    def __init__(self, max_message: int = MAX_MESSAGE, stream_above: int = STREAM_ABOVE) -> None:
        super().__init__(max_message, stream_above)
        self._rewrite = None  # the routine in C reads websocket frames only

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
                break  # `_frame` drops the message, or raises the right error
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
    """A relay that reads from a raw TCP link without frames. It makes each piece of input one binary message.

    Args:
        after_cr: True if the greeting was read up to a CR. Then an LF as the first byte of input is dropped, because it
            belongs to this CR.
    """

    framing = PLAIN
    mid_frame = False
    held = 0
    unfinished = None

    def __init__(self, after_cr: bool = False) -> None:
        self._after_cr = after_cr

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Returns 0, the offset in `buffer` at which the input begins. This relay keeps no bytes of earlier input."""
        return 0

    def stream_above(self, size: int) -> None:
        """Does nothing, because all input is forwarded as it arrives, whatever its size."""

    def stop(self) -> None:
        """Does nothing, because this relay keeps no bytes of its input."""

    def skip_message(self) -> None:
        """Does nothing, because each piece of input is a whole message. There is never a rest to skip."""

    def feed(self, data: Buffer, framing: Framing) -> Relayed:
        """Returns `data` as one binary message, framed for a link of `framing`. Does not copy the data."""
        if self._after_cr:
            self._after_cr = False
            data = data[1:] if data[0] == _LF else data
            if not data:
                return Relayed()
        pieces = [data] if framing.kind == self.framing.kind else [framing.header(Kind.BINARY, len(data)), data]
        relayed = Relayed()
        relayed.pieces, relayed.messages, relayed.size = pieces, 1, len(data)
        return relayed


class PlainCodec:
    """The codec of a raw TCP link without frames.

    The peer gets lines such as `OK waiting` until both sides of its session are connected. From then on it gets
    terminal bytes.

    Attributes:
        linked: True if `frame` has returned the line `OK linked`. `frame` returns no line after `OK linked`.
    """

    def __init__(self) -> None:
        self.linked = False
        self._data = bytearray()

    def limit_messages(self, size: int) -> None:
        """Does nothing, because bytes without frames have no messages."""

    def read_in_parts(self, above: int) -> None:
        """Does nothing, because bytes without frames have no messages."""

    def binary(self, pieces: Sequence[Union[bytes, memoryview]]) -> List[Union[bytes, memoryview]]:
        """Returns `pieces`, because bytes without frames are sent as they are."""
        return list(pieces)

    def receive_data(self, data: bytes) -> None:
        """Stores bytes from the stream for `next_message`."""
        self._data += data

    @property
    def empty(self) -> bool:
        """True if no bytes are stored."""
        return not self._data

    def next_message(self) -> Optional[Message]:
        """Returns all stored bytes as one binary message, or None if there are none."""
        data, self._data = bytes(self._data), bytearray()
        return Binary(data) if data else None

    def frame(self, message: Message) -> bytes:
        """Returns the bytes to send to the peer for `message`; b"" if this peer cannot get such a message.

        A Binary message is sent as its bytes. The text message Linkup is sent as the line `OK linked`. A Close before
        Linkup is sent as a line; after Linkup, the peer would take a line for terminal output. All other messages give
        b"".
        """
        if isinstance(message, Binary):
            return message.data
        if isinstance(message, Text) and isinstance(parse(message.text), Linkup) and not self.linked:
            self.linked = True
            return LINKED
        if isinstance(message, Close) and not self.linked:
            return build_refusal(message.code or 1000, message.reason)
        return b""

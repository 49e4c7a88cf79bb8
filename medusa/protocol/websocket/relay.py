"""The relay face of the websocket codec: bytes of one link in, bytes of another link out. No I/O.

What it keeps to:
- a message leaves as ONE frame of its kind (npm `watershed` closes on FIN=0), so fragments are put together first;
- a whole frame above 64 KiB leaves as it arrives, header at once, so memory does not grow with the message;
- nothing of an illegal frame leaves, and nothing of a text message that claims to come from the reflector.
"""

from __future__ import annotations

import codecs
import enum
from dataclasses import dataclass, field
from typing import Any, Callable, List, Optional, Union

from medusa.protocol.control import REFLECTOR_PREFIX
from medusa.protocol.errors import BadText, PolicyViolation, RemoteProtocolError
from medusa.protocol.messages import MAX_MESSAGE, STREAM_ABOVE, Close, Kind, Ping
from medusa.protocol.websocket.codec import (
    CONTINUATION,
    MASKED,
    TEXT,
    Fragments,
    Header,
    WebSocketConnection,
    parse_control,
    parse_header,
)
from medusa.protocol.websocket.masking import NO_MASK, Buffer, apply_mask, rotate_key

FrameHeader = Callable[[Kind, int], bytes]
"""(kind, payload length) -> the header in the framing of the link that is written to."""


def bare(kind: Kind, length: int) -> bytes:
    """The header on a link without frames. By this function a relay knows that text has no place there."""
    return b""


Rewrite = Callable[[Any, int, int, int, int, bytes], Any]
rewrite: Optional[Rewrite] = None
"""The fast way in C, where it was built: see _fastrelay.c, `rewrite`."""
try:
    from medusa.protocol.websocket._fastrelay import rewrite
except ImportError:
    pass

_FORGED = REFLECTOR_PREFIX.encode("ascii")
_WHOLE_TEXT, _WHOLE_BINARY = 0x81, 0x82
_TEXT, _BINARY = Kind.TEXT, Kind.BINARY


@dataclass
class Relayed:
    """What one piece of input came to.

    Attributes:
        pieces: to be written to the other link, in this order and before anything below is acted on. They may lie in
            the buffer that was given: good until it is used again.
        messages: whole messages that ended in `pieces`.
        size: payload bytes in `pieces`.
        text: those of them that are of text messages, which no terminal gets.
        boundary: how many bytes of `pieces` come before the last frame that is let out as it arrives, None without one:
            where a control frame may go when `pieces` end inside that frame.
        left_out: text messages that the other link has no place for; of one above 64 KiB nothing is kept.
        slow_frames: frames that were not taken by the dozen: each costs some microseconds, however small it is.
        pings: to be answered. The last alone must be (RFC 6455 section 5.5.3), but Autobahn counts them.
        close: the peer's Close.
        error: the peer broke the rules; nothing after it is looked at.
    """

    pieces: List[Buffer] = field(default_factory=list)
    messages: int = 0
    size: int = 0
    text: int = 0
    boundary: Optional[int] = None
    left_out: List[bytes] = field(default_factory=list)
    slow_frames: int = 0
    pings: List[Ping] = field(default_factory=list)
    close: Optional[Close] = None
    error: Optional[RemoteProtocolError] = None

    @property
    def written(self) -> int:
        """Bytes in `pieces`."""
        return sum(map(len, self.pieces))


class _Way(enum.Enum):
    """Where the payload that is arriving goes."""

    FORWARD = "out as it comes"
    COLLECT = "into the fragments"


class WebSocketRelay:
    """Reads what a masked (client-role) peer sends.

    Call `feed` with each piece from the stream and write `Relayed.pieces`. While `mid_frame`, only the rest of that
    frame may be written to the other link; if this link is lost then, the other must be aborted.
    """

    def __init__(self, max_message: int = MAX_MESSAGE, stream_above: int = STREAM_ABOVE) -> None:
        self._rewrite = rewrite
        self._limit = max_message
        self._stream_above = max(stream_above, len(_FORGED))  # what leaves at once shows whether it is forged
        self._small = min(self._stream_above, max_message)
        self._fragments = Fragments(max_message)
        self._held = bytearray()  # an unfinished header or small frame ...
        self._need = 0  # ... and how long it must be before another look is worth it
        self._left = 0  # payload bytes of the current frame still to come; what they are:
        self._way = _Way.FORWARD
        self._key = NO_MASK
        self._fin = True
        self._utf8: Optional[codecs.IncrementalDecoder] = None
        self._skip = False
        self._done = False

    def _parse_header(self, data: Buffer, at: int) -> Union[Header, int]:
        return parse_header(data, at, True, self._limit)

    @property
    def mid_frame(self) -> bool:
        """Whether part of a frame was let out and the rest is to come."""
        return self._left > 0 and self._way is _Way.FORWARD and not self._skip

    def skip_message(self) -> None:
        """Drop the message that is arriving, if any; the next one is forwarded again."""
        data_frame_begun = bool(self._held) and not self._held[0] & 0x08
        self._skip = data_frame_begun or self._left > 0 or self._fragments.started
        self._fragments.drop()

    @property
    def held(self) -> int:
        """Bytes of an unfinished frame that are kept here."""
        return len(self._held)

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Before `feed`, for who has read behind room for the bytes that are held, up to buffer[end]: they are put
        there, where the frame has come far enough. To feed from them on is cheaper than to copy what was read to them.

        Returns:
            where in `buffer` to feed from.
        """
        held = len(self._held)
        if not held or end < self._need:
            return held
        buffer[:held] = self._held
        self._held = bytearray()
        return 0

    def feed(self, data: Buffer, frame_header: FrameHeader) -> Relayed:
        """Take bytes from the stream; in a buffer that can be written to, they may be overwritten.

        Never raises for what the peer did: see `Relayed.error`.
        """
        result = Relayed()
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return result
            data, self._held = self._held, bytearray()
        # What is not to be rewritten in place is of type bytes from here on.
        if self._rewrite is None or frame_header is not WebSocketConnection.frame_header:
            data = bytes(data)
        elif isinstance(data, bytes):
            data = bytearray(data)
        try:
            self._parse(data, frame_header, result)
        except RemoteProtocolError as error:
            self._done = True
            result.error = error
        return result

    def _parse(self, data: Buffer, frame_header: FrameHeader, result: Relayed) -> None:
        at, end = 0, len(data)
        while at < end and not self._done:
            if not isinstance(data, bytes):
                at = self._whole_frames(data, at, result)
            if at < end and self._left:
                at = self._payload(data, at, frame_header, result)
                continue
            if isinstance(data, bytes):
                at = self._small_frames(data, at, frame_header, result)
            if at == end:
                return
            header = self._parse_header(data, at)
            need = self._needed(header) if isinstance(header, Header) else header
            if end - at < need:
                self._held = bytearray(data[at:])
                self._need = need
                return
            if isinstance(header, Header):
                result.slow_frames += 1
                at = self._frame(header, data, at + header.size, frame_header, result)

    def _whole_frames(self, data: Buffer, at: int, result: Relayed) -> int:
        """The fast way in C: data frames that are not in pieces, for a websocket. The rest is left to Python."""
        in_python = self._left and (self._way is _Way.COLLECT or self._utf8 is not None)
        if in_python or self._fragments.started or self._skip:
            return at
        assert self._rewrite is not None
        begun = at
        at, end, messages, size, self._left, self._key, boundary, text = self._rewrite(
            data, at, self._small, self._limit, self._left, self._key
        )
        if boundary >= 0:
            result.boundary = result.written + boundary - begun
        if end > begun:
            result.pieces.append(memoryview(data)[begun:end])
        result.messages += messages
        result.size += size
        result.text += text
        self._way, self._utf8, self._fin = _Way.FORWARD, None, True
        return at

    def _small_frames(self, data: bytes, at: int, frame_header: FrameHeader, result: Relayed) -> int:
        """The fast way: whole data frames up to 64 KiB, one after another. What it does not take is `_frame`'s."""
        if self._fragments.started or self._skip:
            return at
        pieces, end, mask = result.pieces, len(data), apply_mask
        append, last, size, begun = pieces.append, end - 6, 0, len(pieces)
        small = self._small
        while at <= last:
            first, length, start = data[at], data[at + 1] - MASKED, at + 6
            if length > 125:
                if length != 126:
                    break
                length, start = data[at + 2] << 8 | data[at + 3], at + 8
                if length < 126:
                    break
            stop = start + length
            if stop > end or not 0 <= length <= small:
                break
            if first == _WHOLE_BINARY:
                append(frame_header(_BINARY, length))
                append(mask(data[start:stop], data[start - 4 : start]))
            elif first == _WHOLE_TEXT and frame_header is not bare:
                payload = mask(data[start:stop], data[start - 4 : start])
                if not is_fit(payload):
                    break  # `_frame` says why
                append(frame_header(_TEXT, length))
                append(payload)
                result.text += length
            else:
                break
            size += length
            at = stop
        result.messages += (len(pieces) - begun) // 2
        result.size += size
        return at

    def _needed(self, header: Header) -> int:
        """Bytes of this frame that must be here before it is dealt with; one out of sequence is refused now."""
        if header.opcode & 0x08:
            return header.size + header.length
        self._fragments.check(header)
        if _in_pieces(header):
            return header.size
        if header.length <= self._stream_above:
            return header.size + header.length
        return header.size + (len(_FORGED) if header.opcode == TEXT else 0)

    def _frame(self, header: Header, data: Buffer, at: int, frame_header: FrameHeader, result: Relayed) -> int:
        """Deal with the frame whose payload begins at `at`; returns where the next unread byte is."""
        if header.opcode & 0x08 or not (_in_pieces(header) or header.length > self._stream_above):
            end = at + header.length
            payload = _unmask(memoryview(data)[at:end], header.key)
            if header.opcode & 0x08:
                self._control(header.opcode, bytes(payload), result)
            elif self._skip:
                self._skip = False
            else:
                self._emit(Kind(header.opcode), payload, frame_header, result)
            return end
        if header.opcode == TEXT and header.fin:  # before any of it counts as let out
            refuse_forged(_unmask(data[at : at + len(_FORGED)], header.key))
        self._left, self._key, self._fin = header.length, header.key, header.fin
        if _in_pieces(header):
            self._way = _Way.COLLECT
            if header.opcode != CONTINUATION:
                self._fragments.begin(Kind(header.opcode))
            if not header.length and header.fin:
                self._end_of_message(frame_header, result)
            return at
        self._way = _Way.FORWARD
        self._utf8 = None
        if header.opcode == TEXT and frame_header is bare:
            if not self._skip:
                result.left_out.append(b"")
            self._skip = True
        elif header.opcode == TEXT:
            self._utf8 = codecs.getincrementaldecoder("utf-8")()
        if not self._skip:
            result.boundary = result.written
            result.pieces.append(frame_header(Kind(header.opcode), header.length))
        return at

    def _payload(self, data: Buffer, at: int, frame_header: FrameHeader, result: Relayed) -> int:
        """Pass on what is here of a frame that is dealt with as it arrives."""
        piece: Buffer = memoryview(data)[at : at + self._left]
        taken = len(piece)
        piece = _unmask(piece, self._key)
        if self._way is _Way.COLLECT:
            self._fragments.add(piece)
        elif not self._skip:
            _decode(self._utf8, piece, final=taken == self._left)
            result.pieces.append(piece)
            result.size += taken
            if self._utf8 is not None:
                result.text += taken
        self._left -= taken
        self._key = rotate_key(self._key, taken)
        if not self._left and self._fin:
            self._end_of_message(frame_header, result)
        return at + taken

    def _end_of_message(self, frame_header: FrameHeader, result: Relayed) -> None:
        skip, self._skip = self._skip, False
        if self._way is _Way.COLLECT:
            kind, payload = self._fragments.finish()
            if not skip:
                self._emit(kind, payload, frame_header, result, decoded=True)
        elif not skip:
            result.messages += 1

    def _emit(
        self, kind: Kind, payload: Buffer, frame_header: FrameHeader, result: Relayed, decoded: bool = False
    ) -> None:
        if kind is Kind.TEXT:
            _check_text(payload, decoded)
            if frame_header is bare:
                result.left_out.append(bytes(payload))
                return
            result.text += len(payload)
        result.pieces.append(frame_header(kind, len(payload)))
        result.pieces.append(payload)
        result.messages += 1
        result.size += len(payload)

    def _control(self, opcode: int, payload: bytes, result: Relayed) -> None:
        message = parse_control(opcode, payload)
        if isinstance(message, Ping):
            result.pings.append(message)
        elif isinstance(message, Close):
            result.close = message
            self._done = True  # section 5.5.1: no data after a Close


def _in_pieces(header: Header) -> bool:
    return header.opcode == CONTINUATION or not header.fin


def _unmask(piece: Buffer, key: bytes) -> Buffer:
    return piece if key == NO_MASK else apply_mask(piece, key)


def is_fit(payload: bytes) -> bool:
    """Whether a whole text may be let out."""
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not payload.startswith(_FORGED)


def _check_text(payload: Buffer, decoded: bool = False) -> None:
    refuse_forged(payload)
    if not decoded:
        _decode(codecs.getincrementaldecoder("utf-8")(), payload, final=True)


def refuse_forged(payload: Buffer) -> None:
    """Raises PolicyViolation for a text that begins as those of the reflector alone do."""
    if bytes(payload[: len(_FORGED)]) == _FORGED:
        raise PolicyViolation("text with the reflector's own prefix")


def _decode(decoder: Optional[codecs.IncrementalDecoder], piece: Buffer, final: bool) -> None:
    if decoder is None:
        return
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        raise BadText("text message is not UTF-8") from None

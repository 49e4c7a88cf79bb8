"""The relay of a websocket: the bytes of one link in, the bytes for another out. No I/O.

Its rules:
- a message leaves as ONE frame of its kind (npm `watershed` closes on FIN=0), so fragments are put together first;
- a whole frame above 64 KiB leaves as it arrives, header at once, so memory does not grow with the message;
- nothing of an illegal frame leaves, and nothing of a text message that claims to come from the reflector.
"""

from __future__ import annotations

import codecs
import enum
from typing import Any, Callable, Optional, Union

from medusa.protocol.errors import BadText, RemoteProtocolError
from medusa.protocol.messages import MAX_MESSAGE, STREAM_ABOVE, Close, Kind, Ping
from medusa.protocol.relay import FORGED, Framing, Relayed, may_pass, refuse_forged
from medusa.protocol.websocket.codec import (
    BINARY,
    CONTINUATION,
    MASKED,
    TEXT,
    Fragments,
    Header,
    build_header,
    parse_control,
    parse_header,
)
from medusa.protocol.websocket.masking import NO_MASK, Buffer, apply_mask, rotate_key

_SHORT = [[build_header(opcode, length) for length in range(126)] for opcode in range(BINARY + 1)]


def frame_header(kind: Kind, length: int) -> bytes:
    """The header of a whole unmasked data frame, as a server sends it."""
    return _SHORT[kind][length] if length < 126 else build_header(kind, length)


WEBSOCKET = Framing("websocket", frame_header, in_place=True)
"""How data is framed toward a websocket client."""

Rewrite = Callable[[Any, int, int, int, int, bytes], Any]
rewrite: Optional[Rewrite] = None
"""The fast routine in C, if it was built: see `rewrite` in _fastrelay.c."""
try:
    from medusa.protocol.websocket._fastrelay import rewrite
except ImportError:
    pass

_WHOLE_TEXT, _WHOLE_BINARY = 0x81, 0x82
_TEXT, _BINARY = Kind.TEXT, Kind.BINARY


class _Mode(enum.Enum):
    """What is done with the payload that is arriving."""

    FORWARD = "it leaves as it arrives"
    COLLECT = "it is added to the fragments"


class WebSocketRelay:
    """Reads what a websocket client (which masks) sends.

    Call `feed` with each piece from the stream and write `Relayed.pieces` to the other link. While `mid_frame`, only
    the rest of that frame may be written there; if this link is lost then, the other must be aborted.

    Attributes:
        framing: how to write to this link: for the relay that reads the other one.

    Args:
        max_message: limit of one message in bytes.
        stream_above: whole frames above this many bytes leave as they arrive.
    """

    framing = WEBSOCKET

    def __init__(self, max_message: int = MAX_MESSAGE, stream_above: int = STREAM_ABOVE) -> None:
        self._rewrite = rewrite
        self._limit = max_message
        self._stream_above = max(stream_above, len(FORGED))  # what leaves at once shows if it is forged
        self._small = min(self._stream_above, max_message)
        self._fragments = Fragments(max_message)
        self._held = bytearray()  # an unfinished header or small frame ...
        self._need = 0  # ... and the size it must have before it is parsed again
        self._left = 0  # payload bytes of the current frame still to come; how to take them:
        self._mode = _Mode.FORWARD
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
        return self._left > 0 and self._mode is _Mode.FORWARD and not self._skip

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
        """Move the held bytes to the start of `buffer`, so that the frame lies in one piece. Call it before `feed`.

        The caller has left room for `held` bytes there and has read what follows, up to buffer[end]. Nothing moves
        while the frame is too short to be parsed.

        Returns:
            the offset in `buffer` to feed from.
        """
        held = len(self._held)
        if not held or end < self._need:
            return held
        buffer[:held] = self._held
        self._held = bytearray()
        return 0

    def feed(self, data: Buffer, framing: Framing) -> Relayed:
        """Make of bytes from the stream what to write to a link of `framing`. A writable buffer may be overwritten.

        Never raises for what the peer did: see `Relayed.error`.
        """
        result = Relayed()
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return result
            data, self._held = self._held, bytearray()
        # What is not to be rewritten in place is of type bytes from here on.
        if self._rewrite is None or not framing.in_place:
            data = bytes(data)
        elif isinstance(data, bytes):
            data = bytearray(data)
        try:
            self._parse(data, framing, result)
        except RemoteProtocolError as error:
            self._done = True
            result.error = error
        return result

    def _parse(self, data: Buffer, framing: Framing, result: Relayed) -> None:
        at, end = 0, len(data)
        while at < end and not self._done:
            if not isinstance(data, bytes):
                at = self._whole_frames(data, at, result)
            if at < end and self._left:
                at = self._payload(data, at, framing, result)
                continue
            if isinstance(data, bytes):
                at = self._small_frames(data, at, framing, result)
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
                at = self._frame(header, data, at + header.size, framing, result)

    def _whole_frames(self, data: Buffer, at: int, result: Relayed) -> int:
        """The fast path in C, if the framing allows it: data frames without fragments. The rest is left to Python."""
        in_python = self._left and (self._mode is _Mode.COLLECT or self._utf8 is not None)
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
        self._mode, self._utf8, self._fin = _Mode.FORWARD, None, True
        return at

    def _small_frames(self, data: bytes, at: int, framing: Framing, result: Relayed) -> int:
        """The fast path: whole data frames up to 64 KiB, one after another. The rest is left to `_frame`."""
        if self._fragments.started or self._skip:
            return at
        pieces, end, mask = result.pieces, len(data), apply_mask
        append, last, size, begun = pieces.append, end - 6, 0, len(pieces)
        small, header = self._small, framing.header
        text = _WHOLE_TEXT if framing.carries_text else None
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
                append(header(_BINARY, length))
                append(mask(data[start:stop], data[start - 4 : start]))
            elif first == text:
                payload = mask(data[start:stop], data[start - 4 : start])
                if not may_pass(payload):
                    break  # `_frame` raises the fitting error
                append(header(_TEXT, length))
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
        """Bytes of this frame that must be here before `_frame` takes it. Raises if it is out of sequence."""
        if header.opcode & 0x08:
            return header.size + header.length
        self._fragments.check(header)
        if _in_pieces(header):
            return header.size
        if header.length <= self._stream_above:
            return header.size + header.length
        return header.size + (len(FORGED) if header.opcode == TEXT else 0)

    def _frame(self, header: Header, data: Buffer, at: int, framing: Framing, result: Relayed) -> int:
        """Take the frame whose payload begins at `at`; returns the offset of the next unread byte."""
        if header.opcode & 0x08 or not (_in_pieces(header) or header.length > self._stream_above):
            end = at + header.length
            payload = _unmask(memoryview(data)[at:end], header.key)
            if header.opcode & 0x08:
                self._control(header.opcode, bytes(payload), result)
            elif self._skip:
                self._skip = False
            else:
                self._emit(Kind(header.opcode), payload, framing, result)
            return end
        if header.opcode == TEXT and header.fin:  # before any of it counts as let out
            refuse_forged(_unmask(data[at : at + len(FORGED)], header.key))
        self._left, self._key, self._fin = header.length, header.key, header.fin
        if _in_pieces(header):
            self._mode = _Mode.COLLECT
            if header.opcode != CONTINUATION:
                self._fragments.begin(Kind(header.opcode))
            if not header.length and header.fin:
                self._end_of_message(framing, result)
            return at
        self._mode = _Mode.FORWARD
        self._utf8 = None
        if header.opcode == TEXT and not framing.carries_text:
            if not self._skip:
                result.left_out.append(b"")
            self._skip = True
        elif header.opcode == TEXT:
            self._utf8 = codecs.getincrementaldecoder("utf-8")()
        if not self._skip:
            result.boundary = result.written
            result.pieces.append(framing.header(Kind(header.opcode), header.length))
        return at

    def _payload(self, data: Buffer, at: int, framing: Framing, result: Relayed) -> int:
        """Take what is here of a payload that is handled as it arrives; returns the offset after it."""
        piece: Buffer = memoryview(data)[at : at + self._left]
        taken = len(piece)
        piece = _unmask(piece, self._key)
        if self._mode is _Mode.COLLECT:
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
            self._end_of_message(framing, result)
        return at + taken

    def _end_of_message(self, framing: Framing, result: Relayed) -> None:
        skip, self._skip = self._skip, False
        if self._mode is _Mode.COLLECT:
            kind, payload = self._fragments.finish()
            if not skip:
                self._emit(kind, payload, framing, result, decoded=True)
        elif not skip:
            result.messages += 1

    def _emit(self, kind: Kind, payload: Buffer, framing: Framing, result: Relayed, decoded: bool = False) -> None:
        if kind is Kind.TEXT:
            _check_text(payload, decoded)
            if not framing.carries_text:
                result.left_out.append(bytes(payload))
                return
            result.text += len(payload)
        result.pieces.append(framing.header(kind, len(payload)))
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


def _check_text(payload: Buffer, decoded: bool = False) -> None:
    refuse_forged(payload)
    if not decoded:
        _decode(codecs.getincrementaldecoder("utf-8")(), payload, final=True)


def _decode(decoder: Optional[codecs.IncrementalDecoder], piece: Buffer, final: bool) -> None:
    if decoder is None:
        return
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        raise BadText("text message is not UTF-8") from None

"""The relay that reads from a websocket client: it turns the client's bytes into bytes for another link. No I/O.

Its rules:
- The relay sends each message as ONE frame, because npm `watershed` closes the link if it gets a fragment. So the relay
  puts the fragments of a message together first.
- The relay forwards an unfragmented frame above 64 KiB piece by piece, as it arrives. So the relay's memory does not
  grow with the size of the message. The method `stream_above` lowers this limit while memory is short.
- The relay sends no byte of an illegal frame, and no byte of a text message that begins like the reflector's own
  messages.
"""

from __future__ import annotations

import codecs
from typing import Any, Callable, Optional, Union

from medusa.protocol.errors import BadText, RemoteProtocolError
from medusa.protocol.messages import MAX_MESSAGE, STREAM_ABOVE, Close, Kind, Ping
from medusa.protocol.relay import FORGED, Framing, Relayed, may_pass, refuse_forged
from medusa.protocol.websocket.codec import parse_control
from medusa.protocol.websocket.header import BINARY, CONTINUATION, MASKED, TEXT, Header, build_header, parse_header
from medusa.protocol.websocket.masking import NO_MASK, Buffer, apply_mask, rotate_key
from medusa.protocol.websocket.relay_state import Mode, RelayState, in_pieces

_SHORT = [[build_header(opcode, length) for length in range(126)] for opcode in range(BINARY + 1)]


def frame_header(kind: Kind, length: int) -> bytes:
    """Returns the header of an unfragmented, unmasked data frame, as a server sends it."""
    return _SHORT[kind][length] if length < 126 else build_header(kind, length)


WEBSOCKET = Framing("websocket", frame_header, in_place=True)
"""How a relay has to frame data for a link to a websocket client."""

Rewrite = Callable[[Any, int, int, int, int, bytes], Any]
rewrite: Optional[Rewrite] = None
"""The fast routine in C (`rewrite` in _fastrelay.c). None if it was not built."""
try:
    from medusa.protocol.websocket._fastrelay import rewrite
except ImportError:
    pass

_WHOLE_TEXT, _WHOLE_BINARY = 0x81, 0x82
_TEXT, _BINARY = Kind.TEXT, Kind.BINARY
_FORWARD = Mode.FORWARD  # before Python 3.12 it takes 0.2 us to find a member of an enum


class WebSocketRelay(RelayState):
    """A relay that reads from a websocket client. The client must mask its frames.

    Call `feed` with each piece from the stream, and write `Relayed.pieces` to the other link. While `mid_frame` is
    True, a frame has been forwarded only in part: write nothing but the rest of this frame to the other link. If the
    websocket is lost while `mid_frame` is True, abort the other link.

    Attributes:
        framing: how data for this link has to be framed. The relay of the opposite direction uses it.

    Args:
        max_message: the limit of one message, in bytes.
        stream_above: a size in bytes; each larger unfragmented frame is forwarded piece by piece, as it arrives.
    """

    framing = WEBSOCKET

    def __init__(self, max_message: int = MAX_MESSAGE, stream_above: int = STREAM_ABOVE) -> None:
        super().__init__(max_message, stream_above)
        self._rewrite = rewrite

    def _parse_header(self, data: Buffer, at: int) -> Union[Header, int]:
        return parse_header(data, at, True, self._limit)

    def feed(self, data: Buffer, framing: Framing) -> Relayed:
        """Turns bytes from the stream into bytes for a link of `framing`. May overwrite `data` if it is writable.

        If the peer broke the rules, this method does not raise: the error is in `Relayed.error` of the result.
        """
        result = Relayed()
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                self._count(result)
                return result
            data, self._held = self._held, bytearray()
        # The type of `data` tells `_parse` what to do: bytes are parsed in Python, other buffers are rewritten by C.
        if self._rewrite is None or not framing.in_place:
            data = bytes(data)
        elif isinstance(data, bytes):
            data = bytearray(data)
        try:
            self._parse(data, framing, result)
        except RemoteProtocolError as error:
            self.stop()
            result.error = error.with_traceback(None)  # whose frames hold `result`, and all objects of the link
        self._finished += result.messages
        if self._held or self._fragments.started:
            self._count(result)
        return result

    def _count(self, result: Relayed) -> None:
        result.held = self._fragments.held + (self._need if self._held else 0)

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
        """Handles unfragmented data frames in C, until the first frame that only Python can handle.

        Returns the offset of the first byte that was not handled. The framing of the other link must be `in_place`.
        """
        in_python = self._left and (self._mode is Mode.COLLECT or self._utf8 is not None)
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
        self._mode, self._utf8, self._fin = _FORWARD, None, True
        return at

    def _small_frames(self, data: bytes, at: int, framing: Framing, result: Relayed) -> int:
        """Handles unfragmented data frames up to 64 KiB in a fast loop, until the first frame of another kind.

        Returns the offset of the first byte that was not handled.
        """
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
                    break  # `_frame` raises the right error
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

    def _frame(self, header: Header, data: Buffer, at: int, framing: Framing, result: Relayed) -> int:
        """Handles a frame. Its payload begins at the offset `at` in `data`.

        If the payload is to be taken piece by piece, handles only the header. Returns the offset of the first byte that
        was not handled.
        """
        if header.opcode & 0x08 or not (in_pieces(header) or header.length > self._stream_above):
            end = at + header.length
            payload = _unmask(memoryview(data)[at:end], header.key)
            if header.opcode & 0x08:
                self._control(header.opcode, bytes(payload), result)
            elif self._skip:
                self._skip = False
                self._finished += 1
            else:
                self._emit(Kind(header.opcode), payload, framing, result)
            return end
        # This is checked before the state changes, because after an error in mid-frame the other link gets no Close.
        if header.opcode == TEXT and header.fin:
            refuse_forged(_unmask(data[at : at + len(FORGED)], header.key))
        self._left, self._key, self._fin = header.length, header.key, header.fin
        if in_pieces(header):
            self._mode = Mode.COLLECT
            if header.opcode != CONTINUATION:
                self._fragments.begin(Kind(header.opcode))
            if not header.length and header.fin:
                self._end_of_message(framing, result)
            return at
        self._mode = Mode.FORWARD
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
        """Handles the next bytes of a payload that is taken piece by piece. Returns the offset after them."""
        piece: Buffer = memoryview(data)[at : at + self._left]
        taken = len(piece)
        piece = _unmask(piece, self._key)
        if self._mode is Mode.COLLECT:
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
        self._finished += skip
        if self._mode is Mode.COLLECT:
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
                self._finished += 1
                return
            result.text += len(payload)
        result.pieces.append(framing.header(kind, len(payload)))
        result.pieces.append(payload)
        result.messages += 1
        result.size += len(payload)

    def _control(self, opcode: int, payload: bytes, result: Relayed) -> None:
        message = parse_control(opcode, payload)
        self._controls += 1
        if isinstance(message, Ping):
            result.pings.append(message)
        elif isinstance(message, Close):
            result.close = message
            self._done = True  # no data may follow a Close (RFC 6455 section 5.5.1)


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

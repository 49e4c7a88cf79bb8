"""A pair of transports in memory, with pipes that can be clogged or cut at any byte.

The framing is the smallest there is: kind (1 byte), payload length (8 bytes, big-endian), payload.
"""

from __future__ import annotations

import struct
import threading

from medusa.protocol.errors import BadFrame, BadText, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import MAX_CONTROL_PAYLOAD, MAX_MESSAGE, Binary, Close, Kind, Message, Ping, Pong, Text
from medusa.protocol.relay import Framing, Relayed, refuse_forged
from medusa.protocol.websocket.codec import BINARY, CLOSE, PING, PONG, TEXT, parse_control, wire_form
from medusa.transports.relayed import RelayedTransport

_HEADER = struct.Struct("!BQ")


def _frame_header(kind: Kind, length: int) -> bytes:
    return _HEADER.pack(kind, length)


MEMORY = Framing("memory", _frame_header)


class MemoryCodec:
    """Codec and relay of the framing above."""

    framing = MEMORY

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._limit = max_message
        self._skip = False
        self._done = False

    mid_frame = False  # whole messages only
    held = 0

    def receive_data(self, data: bytes | memoryview) -> None:
        """Store bytes from the stream."""
        if not self._done:
            self._buffer += data

    def next_message(self) -> Message | None:
        """The next whole message, or None. Raises RemoteProtocolError, once."""
        try:
            return self._message()
        except RemoteProtocolError:
            self._done = True
            self._buffer.clear()
            raise

    def _message(self) -> Message | None:
        if len(self._buffer) < _HEADER.size:
            return None
        kind, length = _HEADER.unpack_from(self._buffer)
        if kind not in (TEXT, BINARY, CLOSE, PING, PONG):
            raise BadFrame("unknown kind %d" % kind)
        if kind & 8 and length > MAX_CONTROL_PAYLOAD:
            raise BadFrame("control message above %d bytes" % MAX_CONTROL_PAYLOAD)
        if not kind & 8 and length > self._limit:
            raise MessageTooBig("message above the limit of %d bytes" % self._limit)
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        if kind == BINARY:
            return Binary(payload)
        if kind != TEXT:
            return parse_control(kind, payload)
        try:
            return Text(payload.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadText("text message is not UTF-8") from None

    def frame(self, message: Message) -> bytes:
        """The bytes of one message."""
        kind, payload = wire_form(message)
        return _HEADER.pack(kind, len(payload)) + payload

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Nothing is held."""
        return 0

    def skip_message(self) -> None:
        """Drop the message that is arriving, if any."""
        self._skip = bool(self._buffer) and not self._buffer[0] & 8

    def feed(self, data: bytes | memoryview, framing: Framing) -> Relayed:
        """What to write to a link of `framing`."""
        result = Relayed()
        self.receive_data(data)
        try:
            message = self.next_message()
            while message is not None and result.close is None:
                self._relay(message, framing, result)
                message = self.next_message()
        except RemoteProtocolError as error:
            result.error = error
        return result

    def _relay(self, message: Message, framing: Framing, result: Relayed) -> None:
        if isinstance(message, Ping):
            result.pings.append(message)
        elif isinstance(message, Close):
            result.close = message
            self._done = True
        elif not isinstance(message, Pong):
            skip, self._skip = self._skip, False
            kind, payload = wire_form(message)
            if kind == TEXT and not skip:
                refuse_forged(payload)
            if not skip:
                result.pieces += [framing.header(Kind(kind), len(payload)), payload]
                result.messages += 1
                result.size += len(payload)


class _Pipe:
    """One direction: a bounded buffer."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False
        self.changed = threading.Condition()


class MemoryStream:
    """One end of two pipes. `clog` makes it look as if the peer had stopped reading."""

    pending = False

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._in, self._out = incoming, outgoing
        self._closed = False

    def fileno(self) -> int:
        """There is none."""
        return -1

    def recv(self, size: int) -> bytes:
        """Like a socket's."""
        with self._in.changed:
            data = bytes(self._in.data[:size])
            if not data and not self._in.ended:
                raise BlockingIOError
            del self._in.data[:size]
            self._in.changed.notify_all()
            return data

    def recv_into(self, buffer: memoryview) -> int:
        """Like a socket's."""
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes | memoryview) -> int:
        """Like a socket's."""
        with self._out.changed:
            if self._closed or self._out.ended:
                raise BrokenPipeError("the other end is gone")
            room = self._out.capacity - len(self._out.data)
            if room <= 0:
                raise BlockingIOError
            taken = min(room, len(data))
            self._out.data += data[:taken]
            self._out.changed.notify_all()
            return taken

    def wait(self, read: bool, write: bool, timeout: float | None) -> None:
        """Until ready. One condition is waited for at a time: if both are asked for, this returns early."""
        pipe = self._in if read else self._out
        with pipe.changed:
            pipe.changed.wait_for(lambda: self._ready(read, write), 0.01 if read and write else timeout)

    def _ready(self, read: bool, write: bool) -> bool:
        readable = bool(self._in.data) or self._in.ended
        writable = self._out.ended or len(self._out.data) < self._out.capacity
        return (read and readable) or (write and writable)

    def shutdown(self) -> None:
        """The other end reads to the end of what is there, then b""."""
        with self._out.changed:
            self._out.ended = True
            self._out.changed.notify_all()

    def close(self) -> None:
        """Let go of both directions."""
        self._closed = True
        self.shutdown()
        with self._in.changed:
            self._in.ended = True
            self._in.changed.notify_all()

    def clog(self, clogged: bool = True, capacity: int = 1 << 16) -> None:
        """Stop (or again allow) what this end may write."""
        with self._out.changed:
            self._out.capacity = 0 if clogged else capacity
            self._out.changed.notify_all()


def memory_streams(capacity: int = 1 << 16) -> tuple[MemoryStream, MemoryStream]:
    """Two joined streams; each direction holds `capacity` bytes."""
    a, b = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(a, b), MemoryStream(b, a)


def memory_pair(capacity: int = 1 << 16, max_message: int = MAX_MESSAGE) -> tuple[RelayedTransport, RelayedTransport]:
    """Two joined transports."""
    ends: list[RelayedTransport] = []
    for stream in memory_streams(capacity):
        codec = MemoryCodec(max_message)
        ends.append(RelayedTransport(stream, codec, codec))
    return ends[0], ends[1]

"""Transports in memory, with frames of raw TCP, over pipes that can be clogged or cut at any byte."""

from __future__ import annotations

import threading

from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.relay import FramedRelay
from medusa.transports.relayed import RelayedTransport


class _Pipe:
    """One direction: a bounded buffer."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False
        self.changed = threading.Condition()


class MemoryStream:
    """One end of two pipes, which behaves like a SocketStream. `clog` makes the peer look as if it did not read."""

    pending = False

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._in, self._out = incoming, outgoing
        self._closed = False

    def fileno(self) -> int:
        return -1

    def recv(self, size: int) -> bytes:
        with self._in.changed:
            data = bytes(self._in.data[:size])
            if not data and not self._in.ended:
                raise BlockingIOError
            del self._in.data[:size]
            self._in.changed.notify_all()
            return data

    def recv_into(self, buffer: memoryview) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes | memoryview) -> int:
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
        """Waits for one condition at a time; if both are asked for, returns early."""
        pipe = self._in if read else self._out
        with pipe.changed:
            pipe.changed.wait_for(lambda: self._ready(read, write), 0.01 if read and write else timeout)

    def _ready(self, read: bool, write: bool) -> bool:
        readable = bool(self._in.data) or self._in.ended
        writable = self._out.ended or len(self._out.data) < self._out.capacity
        return (read and readable) or (write and writable)

    def shutdown(self) -> None:
        with self._out.changed:
            self._out.ended = True
            self._out.changed.notify_all()

    def close(self) -> None:
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
    one, other = (
        RelayedTransport(stream, FramedCodec(max_message), FramedRelay(max_message))
        for stream in memory_streams(capacity)
    )
    return one, other

"""Transports in memory, with frames of raw TCP, over buffers that can be clogged or cut at any byte."""

from __future__ import annotations

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


class MemoryStream:
    """One end of two pipes, which behaves like a SocketStream. `clog` makes the peer look as if it did not read."""

    pending = False

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._in, self._out = incoming, outgoing

    def fileno(self) -> int:
        return -1

    def recv(self, size: int) -> bytes:
        data = bytes(self._in.data[:size])
        if not data and not self._in.ended:
            raise BlockingIOError
        del self._in.data[:size]
        return data

    def recv_into(self, buffer: memoryview) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes | memoryview) -> int:
        if self._out.ended:
            raise BrokenPipeError("the other end is gone")
        room = self._out.capacity - len(self._out.data)
        if room <= 0:
            raise BlockingIOError
        self._out.data += data[:room]
        return min(room, len(data))

    def send_pieces(self, pieces: list[bytes | memoryview]) -> int:
        return self.send(b"".join(pieces))

    def wait(self, read: bool, write: bool, timeout: float | None) -> None:
        """Returns at once: nothing comes while a test waits."""

    def shutdown(self) -> None:
        self._out.ended = True

    def close(self) -> None:
        self._in.ended = self._out.ended = True

    def clog(self, clogged: bool = True) -> None:
        """Stop (or again allow) what this end may write."""
        self._out.capacity = 0 if clogged else 1 << 16


def memory_streams(capacity: int = 1 << 16) -> tuple[MemoryStream, MemoryStream]:
    """Two joined streams; each direction holds `capacity` bytes."""
    a, b = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(a, b), MemoryStream(b, a)


def memory_pair() -> tuple[RelayedTransport, RelayedTransport]:
    """Two joined transports."""
    one, other = (
        RelayedTransport(stream, FramedCodec(MAX_MESSAGE), FramedRelay(MAX_MESSAGE)) for stream in memory_streams()
    )
    return one, other

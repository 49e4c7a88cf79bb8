"""One direction of a byte proxy as a step function: no event loop, no clock.

Two pipes make a proxy (`join`). The caller waits for what `wants_read` and `wants_write` ask for, and then calls `read`
or `write`. No bytes are changed, made up or reordered.
"""

from __future__ import annotations

from medusa.reflector.net.sockets import hung_up
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream

READ_SIZE = 64 * 1024
"""Bytes that one pipe holds at most: one read."""


class BytePipe:
    """Copies from `source` to `sink` until the source ends or the sink fails.

    Bytes that the sink does not take are held, and nothing more is read until it has taken them. The end of the source
    is passed on to the sink after the last byte.

    Args:
        drains: if the sink fails, go on reading and drop what is read, until the source ends.

    Attributes:
        ended: nothing more will be read or written.
        has_read: something was read, or the end of the source, since `forget_moves`.
        has_written: the sink took something since `forget_moves`.
    """

    _reverse: BytePipe

    def __init__(self, source: SocketStream, sink: SocketStream, *, drains: bool = False) -> None:
        self.source = source
        self.sink = sink
        self.ended = False
        self.has_read = self.has_written = False
        self._drains = drains
        self._drops = False  # what is read
        self._held = b""

    @property
    def wants_read(self) -> bool:
        """Call `read` when the source is readable."""
        return not (self.ended or self._held)

    @property
    def wants_write(self) -> bool:
        """Call `write` when the sink is writable."""
        return bool(self._held)

    @property
    def is_stuck(self) -> bool:
        """True if the source has hung up, but its end cannot be passed on because the sink does not read."""
        return bool(self._held) and hung_up(self.source.fileno())

    def forget_moves(self) -> None:
        """Begin to observe anew whether anything moves."""
        self.has_read = self.has_written = False

    def read(self, buffer: memoryview) -> int:
        """Read once, into `buffer`, and pass it on. Returns the bytes read: 0 if none have come, or at the end."""
        if not self.wants_read:
            return 0
        try:
            size = self.source.recv_into(buffer[:READ_SIZE])
        except BlockingIOError:
            return 0
        except OSError:  # after a reset the source takes nothing either
            self._reverse._fail()
            size = 0
        self.has_read = True
        if not size:
            self._end()
        elif not self._drops:
            self.push(buffer[:size])
        return size

    def write(self) -> None:
        """Offer the held bytes to the sink."""
        self.push(memoryview(self._held))

    def push(self, data: memoryview) -> None:
        """Write `data`, and hold what the sink does not take. For bytes that were read elsewhere: before any `read`."""
        try:
            while data:
                data = data[self.sink.send(data) :]
                self.has_written = True
        except BlockingIOError:
            self._held = bytes(data)
        except OSError:  # the other direction goes on: what the sink sent last may not have been read yet
            self._fail()
        else:
            self._held = b""

    def _end(self) -> None:
        """The source has ended."""
        self.ended = True
        self.sink.shutdown()
        # A TLS stream decrypts nothing after its own end, so what it still receives is of no use.
        self._reverse._drops |= isinstance(self.sink, TlsStream)

    def _fail(self) -> None:
        """The sink takes nothing any more."""
        self._held = b""
        self._drops = True
        self.ended |= not self._drains


def join(outer: SocketStream, inner: SocketStream, *, drains: bool = False) -> tuple[BytePipe, BytePipe]:
    """Both directions of a proxy: (from inner to outer, from outer to inner). `drains` is for the latter."""
    outward, inward = BytePipe(inner, outer), BytePipe(outer, inner, drains=drains)
    outward._reverse, inward._reverse = inward, outward
    return outward, inward

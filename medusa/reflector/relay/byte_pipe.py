"""Copies the bytes of one direction of a byte proxy, step by step. No event loop and no clock.

Two pipes make a proxy (see `join`). If `wants_read` is True, the caller waits until the source is readable, and calls
`read`. If `wants_write` is True, the caller waits until the sink is writable, and calls `write`. The bytes are copied
unchanged.
"""

from __future__ import annotations

from medusa.reflector.net.sockets import hung_up
from medusa.transports.interfaces import Share
from medusa.transports.relayed import UNLIMITED
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream

READ_SIZE = 64 * 1024
"""The maximum size of one read in bytes, and so the most that a pipe holds."""

TIGHT_READ_SIZE = 4 * 1024
"""The maximum size of one read in bytes while the pipe's share of the memory budget is tight (short of memory)."""


class BytePipe:
    """Copies bytes from `source` to `sink`. The pipe ends when the source ends, or when writing to the sink fails.

    The pipe holds the bytes that the sink does not accept, and reads no more until the sink has accepted them. When the
    source has ended and all bytes are written, the pipe shuts down the sink.

    Args:
        drains: True if the pipe does not end when writing to the sink fails. It then reads on until the source ends,
            and drops the bytes.

    Attributes:
        share: the share of the memory budget in which the bytes that the pipe holds are counted.
        ended: True if nothing more will be read or written.
        finished: True if the source has ended, and all its bytes and its end were passed on to the sink.
        has_read: True if bytes, or the end of the source, were read since the last `forget_moves`.
        has_written: True if the sink accepted bytes since the last `forget_moves`.
    """

    _reverse: BytePipe

    def __init__(self, source: SocketStream, sink: SocketStream, *, drains: bool = False) -> None:
        self.source = source
        self.sink = sink
        self.share: Share = UNLIMITED
        self.ended = self.finished = False
        self.has_read = self.has_written = False
        self._drains = drains
        self._drops = False  # True: the bytes that are read are dropped
        self._held = b""

    @property
    def wants_read(self) -> bool:
        """True if `read` is to be called as soon as the source is readable."""
        return not (self.ended or self._held)

    @property
    def wants_write(self) -> bool:
        """True if `write` is to be called as soon as the sink is writable."""
        return bool(self._held)

    @property
    def is_stuck(self) -> bool:
        """True if the source has hung up, and bytes are held that the sink does not accept."""
        return bool(self._held) and hung_up(self.source.fileno())

    def forget_moves(self) -> None:
        """Sets `has_read` and `has_written` to False."""
        self.has_read = self.has_written = False

    def read(self, buffer: memoryview) -> int:
        """Reads once into `buffer`, and writes the bytes to the sink.

        Returns the number of bytes read: 0 if none have arrived, or if the source has ended.
        """
        if not self.wants_read:
            return 0
        try:
            size = self.source.recv_into(buffer[: TIGHT_READ_SIZE if self.share.tight else READ_SIZE])
        except BlockingIOError:
            return 0
        except OSError:  # the source was reset, so nothing can be written to it either
            self._reverse._fail()
            size = 0
        self.has_read = True
        if not size:
            self._end()
        elif not self._drops:
            self.push(buffer[:size])
        return size

    def write(self) -> None:
        """Writes the held bytes to the sink, as many as it accepts now."""
        self.push(memoryview(self._held))

    def push(self, data: memoryview) -> None:
        """Writes `data` to the sink, and holds what the sink does not accept.

        A caller that has read bytes from the source itself has to push them before it calls `read`.
        """
        try:
            while data:
                data = data[self.sink.send(data) :]
                self.has_written = True
        except BlockingIOError:
            self._hold(bytes(data))
        except OSError:  # the other direction goes on: the last bytes from the sink may still be unread
            self._fail()
        else:
            if self._held:
                self._hold(b"")

    def drop(self) -> None:
        """Drops the held bytes."""
        self._hold(b"")

    def _hold(self, data: bytes) -> None:
        copies = 2 if isinstance(self.sink, TlsStream) else 1  # TLS holds the encrypted bytes as well
        self.share.add(copies * (len(data) - len(self._held)))
        self._held = data

    def _end(self) -> None:
        """Ends the pipe, because the source has ended. Shuts down the sink."""
        self.ended = self.finished = True
        self.sink.shutdown()
        # A TLS stream that was shut down decrypts nothing more, so what is still read from it is dropped.
        self._reverse._drops |= isinstance(self.sink, TlsStream)

    def _fail(self) -> None:
        """Drops the held bytes and all bytes that will be read, because the sink accepts no more bytes.

        Ends the pipe, except if it was made with `drains`.
        """
        self.drop()
        self._drops = True
        self.ended |= not self._drains


def join(
    outer: SocketStream, inner: SocketStream, *, drains: bool = False, share: Share | None = None
) -> tuple[BytePipe, BytePipe]:
    """Returns the two pipes that copy between two streams: (from `inner` to `outer`, from `outer` to `inner`).

    Args:
        drains: passed to the second pipe as its argument `drains`; see BytePipe.
        share: the share of the memory budget in which held bytes are counted. None: they are not counted.
    """
    outward, inward = BytePipe(inner, outer), BytePipe(outer, inner, drains=drains)
    if share is not None:
        outward.share = inward.share = share
    outward._reverse, inward._reverse = inward, outward
    return outward, inward

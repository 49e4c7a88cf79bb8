"""Passes the bytes of one connection between its socket and its channel, each direction to its own end."""

from __future__ import annotations

import select
import socket
import struct

from medusa.protocol.channels.channel import Channel, State
from medusa.protocol.channels.frames import Reason
from medusa.transports.bulk_reader import BulkReader

READ, WRITE = select.POLLIN, select.POLLOUT

FEW = 4096
"""Bytes. If a read has brought no more, there are hardly more to read before the next poll."""

MAX_PIECES = 64
"""The most pieces that are written to a socket at once."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """Connects a channel with a socket.

    Bytes for the socket wait in the channel, whose window limits them. The socket is read only if the channel has room.
    If the channel is closed after both directions have ended, what waits is still written to the socket.

    Args:
        sock: a connected socket that does not block. From now on, only this object uses it.

    Attributes:
        over: True if the socket is closed.
    """

    def __init__(self, channel: Channel, sock: socket.socket) -> None:
        self.channel, self.fd = channel, sock.fileno()
        self._sock, self._input = sock, channel.readers[0]
        self._reader = BulkReader(sock.recv_into)
        self._unread = True  # nothing was read from the socket yet, which may hold bytes already
        self._told_end = False  # the end of the channel's bytes was passed on to the socket
        self.over = False

    @property
    def wanted(self) -> int:
        """The events to poll for, as a mask."""
        return (READ if self._room else 0) | (WRITE if len(self._input) else 0)

    @property
    def stands(self) -> bool:
        """True if the socket is not read for now, because the channel has no room."""
        return self.channel.state is State.OPEN and not self.channel.writers[0].ended and not self._room

    @property
    def _room(self) -> int:
        """How many bytes to read; 0 while earlier bytes wait to be sent, so that pieces do not become small."""
        return self.channel.free(0)

    def serve(self, now: float, events: int) -> bool:
        """Moves bytes in both directions. Returns True if more bytes may be there than were read.

        Args:
            events: what poll reported. The socket is read only if it may have bytes, or its end: at first in any case.

        Raises:
            StreamError: too much waits to be sent, because the peer does not take it.
        """
        moved = False
        try:
            self._deliver(now)
            moved = (self._unread or bool(events & ~WRITE)) and self._fetch()
        except OSError as error:
            self.channel.close(Reason("reset", error.strerror or str(error)))
            self.abort()
        else:
            self._check_end()
        return moved

    def _deliver(self, now: float) -> None:
        pieces = self._input.pieces() if len(self._input) else []
        if pieces:
            try:
                self._input.took(self._sock.sendmsg(pieces[:MAX_PIECES]), now)
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._input.stop()  # nothing reads there any more, but more bytes may come from there
                return
        if self._input.complete and not len(self._input) and not self._told_end:
            self._told_end = True
            self._shut(socket.SHUT_WR)

    def _fetch(self) -> bool:
        if not self._room:
            return False
        channel, moved, self._unread = self.channel, 0, False
        try:
            for piece in self._reader.pieces(lambda: channel.room(0)):
                channel.write(0, piece)
                moved += len(piece)
        except BrokenPipeError:  # the peer has ended its direction, and has then refused what was sent to it
            channel.end(0)
        if self._reader.ended:
            channel.end(0)
        return moved > FEW

    def _check_end(self) -> None:
        taken = self._input.stopped or (self._input.over and not len(self._input))
        if taken and (self.channel.writers[0].ended or self.channel.state is State.CLOSED):
            self.channel.close()
            self._sock.close()
            self.over = True

    def stopped(self) -> None:
        """Stops reading the socket, because the peer takes no more of its bytes."""
        self._shut(socket.SHUT_RD)

    def closed(self) -> None:
        """Notes that the peer has closed the channel. Resets the connection if its bytes have not come to their end."""
        if not (self._input.complete or self._input.stopped):
            self.abort()

    def abort(self) -> None:
        """Closes the socket so that its peer sees a reset, and not an end in good order."""
        if not self.over:
            self.over = True
            try:
                if self._sock.family != socket.AF_UNIX:
                    self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            except OSError:
                pass  # the peer has reset it
            self._sock.close()

    def _shut(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # the peer is gone: the next call reports it

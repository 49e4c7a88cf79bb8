"""A stream over a socket without encryption."""

from __future__ import annotations

import select
import socket
from typing import List, Optional, Union

MOST_UNREAD = 16
"""The maximum number of reads (64 KiB each) by which `close` drops unread input."""

MOST_PIECES = 1024
"""The maximum number of pieces in one call of sendmsg: IOV_MAX of Linux. For more, sendmsg fails."""


class SocketStream:
    """A stream over the socket `sock`. It has the methods of `interfaces.Stream`, and raises the same errors.

    The stream makes the socket non-blocking, and owns it from then on: `close` closes the socket.

    Attributes:
        secure: True if the stream is encrypted.
    """

    secure = False

    __slots__ = ("_fin_sent", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._fin_sent = False
        sock.setblocking(False)

    def fileno(self) -> int:
        """Returns the socket's file descriptor; -1 after `close`."""
        return self._sock.fileno()

    @property
    def pending(self) -> bool:
        """Always False: there are never bytes that a poll would not report."""
        return False

    def recv(self, size: int) -> bytes:
        """Reads and returns up to `size` bytes; b"" at the end. Raises BlockingIOError if there are none now."""
        return self._sock.recv(size)

    def recv_into(self, buffer: memoryview) -> int:
        """Reads into `buffer`. Returns the number of bytes; 0 at the end. Raises BlockingIOError if none are there."""
        return self._sock.recv_into(buffer)

    def send(self, data: Union[bytes, memoryview]) -> int:
        """Sends a part of `data`, or all of it. Returns the number of bytes that were sent.

        Raises BlockingIOError if nothing can be sent now.
        """
        return self._sock.send(data)

    def send_pieces(self, pieces: List[Union[bytes, memoryview]]) -> int:
        """Sends a part of the bytes of `pieces`, or all of them, in the same way as `send`."""
        return self._sock.sendmsg(pieces[:MOST_PIECES])

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Waits until the socket is readable (if `read`) or writable (if `write`), at most `timeout` seconds."""
        poll = select.poll()
        try:
            poll.register(self._sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
        except ValueError:  # the socket is closed
            return
        poll.poll(None if timeout is None else max(0, int(timeout * 1000) + 1))

    def shutdown(self) -> None:
        """Sends a FIN: nothing can be sent after it. May be called more than once."""
        if not self._fin_sent:
            self._fin_sent = True
            self._shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Ends the connection, even if another process has a copy of the descriptor. May be called more than once.

        First reads and drops unread input. Otherwise the kernel would reset the connection, and proxies do not pass on
        a reset.
        """
        ended = False
        try:
            for _ in range(MOST_UNREAD):
                if not self.recv(1 << 16):
                    ended = self._fin_sent
                    break
        except (OSError, ValueError):
            pass
        if not ended:
            self._shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _shutdown(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass

"""A plain socket as a stream that never blocks."""

from __future__ import annotations

import select
import socket
from typing import Optional, Union

MOST_UNREAD = 16
"""Reads of 64 KiB that `close` spends on input that nobody wants."""


class SocketStream:
    """A stream over `sock`, which it owns from here on and makes non-blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._fin_sent = False
        sock.setblocking(False)

    def fileno(self) -> int:
        """The socket's descriptor; -1 once closed."""
        return self._sock.fileno()

    @property
    def pending(self) -> bool:
        """Whether bytes are here that no poll would report: the kernel reports all of a plain socket's."""
        return False

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end; BlockingIOError if there are none."""
        return self._sock.recv(size)

    def recv_into(self, buffer: memoryview) -> int:
        """Like `recv`, into `buffer`; returns how many bytes came, 0 at the end."""
        return self._sock.recv_into(buffer)

    def send(self, data: Union[bytes, memoryview]) -> int:
        """Bytes that were taken; BlockingIOError if none could be."""
        return self._sock.send(data)

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Until the socket is ready for any of what is asked, or `timeout` seconds have passed."""
        poll = select.poll()
        try:
            poll.register(self._sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
        except ValueError:  # closed
            return
        poll.poll(None if timeout is None else max(0, int(timeout * 1000) + 1))

    def shutdown(self) -> None:
        """FIN: nothing more will be sent."""
        if not self._fin_sent:
            self._fin_sent = True
            self._shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the connection, even if another process holds a copy of the descriptor. Idempotent.

        Unread input is read first: the kernel would answer it with a reset, which proxies do not pass on.
        """
        try:
            for _ in range(MOST_UNREAD):
                if not self.recv(1 << 16):
                    break
        except (OSError, ValueError):
            pass
        self._shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _shutdown(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass

"""A socket with TLS, for the handshake and for code that blocks."""

from __future__ import annotations

import errno
import math
import ssl
from typing import Any

from medusa.transports.steps import Steps, receive, send_all
from medusa.transports.tls.engine import RECORD, Tls, TlsError


class TlsSocket:
    """A blocking socket with TLS, with only those methods of a socket that the HTTP code needs.

    Args:
        sock: the connected socket, from the standard library or from gevent.
        tls: the TLS of the connection, before the handshake.
    """

    def __init__(self, sock: Any, tls: Tls) -> None:
        self.sock = sock
        self.tls = tls
        self._shut_down = False
        self.settimeout, self.fileno = sock.settimeout, sock.fileno
        self.detach, self.close = sock.detach, sock.close

    def handshake(self, data: bytes = b"") -> None:
        """Does the whole handshake, and blocks until it is done. The socket must be blocking. See `handshake_steps`."""
        for _ in self.handshake_steps(math.inf, data):
            raise BlockingIOError

    def handshake_steps(self, until: float, data: bytes = b"") -> Steps[None]:
        """Does the whole handshake in steps. The socket must be non-blocking.

        Args:
            until: the latest end, as a time of time.monotonic().
            data: ciphertext that was already read from the socket.

        Raises:
            ssl.SSLCertVerificationError, TlsError: the handshake failed.
            OSError: the connection failed, or the time has passed.
        """
        try:
            while not self.tls.handshake(data):
                yield from send_all(self.sock, self.tls.replies(), until)
                data = yield from receive(self.sock, RECORD, until)
                if not data:
                    raise TlsError("the connection was closed in the middle of the TLS handshake")
        except (ssl.SSLError, TlsError):
            self._send_alert()
            raise
        yield from send_all(self.sock, self.tls.replies(), until)

    def recv(self, size: int) -> bytes:
        """Reads and returns up to `size` bytes of plaintext, like socket.recv.

        After `shutdown`, it returns ciphertext instead, which the caller can only drop.
        """
        if self._shut_down:
            data: bytes = self.sock.recv(size)
            return data
        taken = 0

        def recv(wanted: int) -> bytes:
            nonlocal taken
            ciphertext: bytes = self.sock.recv(wanted)
            taken += len(ciphertext)
            return ciphertext

        while taken <= 2 * RECORD:  # more than enough ciphertext for one whole record of data
            data = self.tls.receive(size, recv)
            if data or self.tls.ended:
                return data
        raise TlsError("the peer sends TLS records without data in them")

    def sendall(self, data: bytes) -> None:
        """Encrypts and sends `data`, like socket.sendall."""
        if self.sock.fileno() < 0:  # do not encrypt first: a lost record would make all later records invalid
            raise OSError(errno.EBADF, "the connection was closed or given away")
        self.sock.sendall(self.tls.encrypt(data))

    def shutdown(self, how: int) -> None:
        """Sends a close_notify, and then shuts the socket down, like socket.shutdown."""
        if not self._shut_down and self.sock.fileno() >= 0:
            self._shut_down = True
            self.sock.sendall(self.tls.close())
        self.sock.shutdown(how)

    def _send_alert(self) -> None:
        try:
            self.sock.sendall(self.tls.replies())
        except OSError:
            pass

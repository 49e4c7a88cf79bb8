"""A stream over a socket with TLS, for a loop that must not block."""

from __future__ import annotations

import socket
from typing import List, Optional, Union

from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls.blocking import TlsSocket
from medusa.transports.tls.engine import NOTHING, RECORD, Tls, TlsError

CHUNK = 64 * 1024
"""The bytes of plaintext that TlsStream encrypts at once, up to RECORD more. Then the kernel has to take the result."""

MAX_WAITING = CHUNK + 3 * RECORD
"""The most bytes of ciphertext that may wait: CHUNK + RECORD of data, what TLS adds to them, and its own answers.

Without a limit, a peer that keeps asking for new keys, and never reads the answers, would fill the memory.
"""


class TlsStream(SocketStream):
    """A stream over a socket with TLS. The handshake must already be done. See SocketStream."""

    secure = True

    def __init__(self, sock: socket.socket, tls: Tls) -> None:
        super().__init__(sock)
        self._tls: Optional[Tls] = tls  # None after `shutdown`
        self._unsent = NOTHING  # ciphertext that the kernel has not taken yet
        self._owed = 0  # bytes of plaintext in `_unsent` that `send` has not reported as sent yet

    @property
    def pending(self) -> bool:
        """True if bytes have come that a poll would not report, because they are no longer in the kernel."""
        return self._tls is not None and self._tls.pending

    def recv(self, size: int) -> bytes:
        """Reads and returns up to `size` bytes; b"" at the end. Raises BlockingIOError if there are none now."""
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: memoryview) -> int:
        """Reads into `buffer`. Returns the number of bytes; 0 at the end. Raises BlockingIOError if none are there."""
        tls = self._tls
        if tls is None:
            return super().recv_into(buffer)  # not decrypted: after `shutdown` all input is dropped
        try:
            size = tls.receive_into(buffer, super().recv)
        finally:
            self._reply(tls)
        if size or tls.ended:
            return size
        raise BlockingIOError

    def send(self, data: Union[bytes, memoryview]) -> int:
        """Encrypts and sends a part of `data`, or all of it. Returns the number of bytes sent.

        Raises BlockingIOError if the kernel takes only a part of the first ciphertext. The stream keeps the rest and
        sends it in the next call, before anything else. So pass the same bytes again (see `interfaces.Stream.send`):
        that call reports them as sent, and does not encrypt them again.
        """
        view, done = memoryview(data), 0
        try:
            self._flush()
            if self._tls is None:
                return super().send(data)  # raises OSError, because the socket was shut down
            done, self._owed = self._owed, 0
            while done < len(view):
                # A short rest leaves together with the last chunk: a segment of its own would wake the peer once more.
                piece = view[done : done + CHUNK if len(view) > done + CHUNK + RECORD else len(view)]
                self._unsent, self._owed = memoryview(self._tls.encrypt(piece)), len(piece)
                self._flush()
                done, self._owed = done + self._owed, 0
        except BlockingIOError:
            if not done:
                raise
        return done

    def send_pieces(self, pieces: List[Union[bytes, memoryview]]) -> int:
        """Encrypts and sends a part of the bytes of `pieces`, or all of them, in the same way as `send`."""
        return self.send(b"".join(pieces))

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Waits until the stream is readable (if `read`) or writable (if `write`), at most `timeout` seconds."""
        if not (read and self.pending):
            super().wait(read, write, timeout)

    def shutdown(self) -> None:
        """Sends a close_notify and a FIN. Sends only the FIN if the kernel cannot take more bytes now."""
        tls, self._tls = self._tls, None
        if tls is not None:
            try:
                self._flush()
                self._unsent = memoryview(tls.close())
                self._flush()
            except OSError:
                pass
        super().shutdown()

    def _flush(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[super().send(self._unsent) :] or NOTHING

    def _reply(self, tls: Tls) -> None:
        """Sends the answers that TLS itself has to send, such as to a request for new keys.

        Keeps the bytes that the kernel cannot take now, and sends them before the next data.

        Raises:
            TlsError: too many answers are waiting.
        """
        replies = tls.replies()
        if not replies:
            return
        self._unsent = memoryview(bytes(self._unsent) + replies)
        try:
            self._flush()
        except BlockingIOError:
            if len(self._unsent) > MAX_WAITING:
                raise TlsError("the peer asks for new keys and does not read the answers") from None
        except OSError:
            pass  # the next write raises it again


def stream_over(sock: Union[socket.socket, TlsSocket]) -> SocketStream:
    """Returns a stream over a connected socket. The stream owns the socket from then on.

    The socket comes from `dial.open_socket`, or was accepted by a server. If it has TLS, the handshake must be done.
    """
    return TlsStream(sock.sock, sock.tls) if isinstance(sock, TlsSocket) else SocketStream(sock)

"""TLS, three times: `Tls` without I/O, `TlsSocket` as a socket that waits, `TlsStream` as a stream that never waits.

A connection begins as a TlsSocket, for the TLS handshake and the HTTP head; `stream_over` makes the TlsStream of it.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from typing import Any, Callable, List, Optional, Union

from medusa.transports.socket_stream import SocketStream

RECORD = 16 * 1024
"""Most bytes of plaintext in one record (RFC 8446 section 5.1). OpenSSL is given and asked for no more at once, because
its memory buffers never shrink."""

CHUNK = 64 * 1024
"""Most bytes of plaintext that are encrypted before the kernel takes them."""

_NOTHING = memoryview(b"")  # what is left of a view would keep all of it

MAX_REPLIES = 16 * 1024
"""Most bytes of TLS's own answers that wait after data. A peer that asks for new keys again and again, and reads no
answer, would fill the memory."""


def client_context(insecure: bool = False) -> ssl.SSLContext:
    """What a client trusts: the system's certificates, or SSL_CERT_FILE's. If `insecure`, any certificate."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class TlsError(OSError):
    """TLS failed; the text says how."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EPROTO, text)


class Tls:
    """One end of TLS between buffers.

    Args:
        server_name: the name in the certificate to expect; None at the server's end.

    Attributes:
        ended: nothing more comes: the peer said so, or its stream has ended. (Whether the end was polite shows in the
            websocket's Close.)
    """

    def __init__(self, context: ssl.SSLContext, server_name: Optional[str] = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_name is None, server_name)
        self._fed = _NOTHING  # ciphertext that OpenSSL has not been given yet
        self._little_data = False  # most of what came last was TLS's own
        self._failure: Optional[TlsError] = None
        self.ended = False

    @property
    def pending(self) -> bool:
        """Whether `receive` may have plaintext without more ciphertext."""
        return not self.ended and bool(self._failure or self._fed or self._in.pending or self._ssl.pending())

    def handshake(self, data: bytes = b"") -> bool:
        """Go on with the handshake, given ciphertext that came; True if it is done. Then send `replies`.

        Raises:
            ssl.SSLCertVerificationError, TlsError: send `replies` after these as well; they tell the peer.
        """
        self._fed = memoryview(data)
        while True:
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                if not self._fed:
                    return False
                self._feed()
            except ssl.SSLCertVerificationError:
                raise
            except ssl.SSLError as error:
                raise _failed(error) from None
            else:
                return True

    def receive(self, size: int, recv: Callable[[int], bytes]) -> bytes:
        """Up to `size` bytes of plaintext; b"" if no record is whole yet, or if the stream has `ended`.

        Args:
            recv: asked for ciphertext, at most once.

        Raises:
            TlsError, and what `recv` raises.
        """
        data = self._read(size)
        if not data and not self.ended:
            # 128 KiB of requests for new keys would take a tenth of a second from all other sessions on the loop.
            self._fed = memoryview(recv(RECORD if self._little_data else max(size, RECORD)))
            self.ended = not self._fed
            came = len(self._fed)
            data = self._read(size)
            self._little_data = 2 * len(data) < came
        return data

    def encrypt(self, data: Union[bytes, memoryview]) -> bytes:
        """The ciphertext to send. Raises TlsError."""
        view, parts, at = memoryview(data), [self._out.read()], 0
        try:
            while at < len(view):
                at += self._ssl.write(view[at : at + RECORD])
                parts.append(self._out.read())
        except ssl.SSLError as error:
            raise _failed(error) from None
        return b"".join(parts)

    def replies(self) -> bytes:
        """Bytes that TLS itself has to send; may be empty."""
        return self._out.read() if self._out.pending else b""

    def close(self) -> bytes:
        """The close_notify to send. Nothing that still comes can be decrypted."""
        try:
            self._ssl.unwrap()
        except OSError:  # the peer's own is not there yet
            pass
        return self._out.read()

    def _read(self, size: int) -> bytes:
        if self._failure is not None:
            raise self._failure
        parts: List[bytes] = []
        while size > 0 and self.pending:
            if not (self._in.pending or self._ssl.pending()):
                self._feed()
            try:
                data = self._ssl.read(size)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                self._failure = _failed(error)
                if parts:
                    break  # the data before that is good
                raise self._failure from None
            if not data:
                self.ended = True
            parts.append(data)
            size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _feed(self) -> None:
        self._in.write(self._fed[:RECORD])
        self._fed = self._fed[RECORD:] or _NOTHING


class TlsSocket:
    """The part of a blocking socket's interface that HTTP needs, over a connected socket. `sock` may be gevent's."""

    def __init__(self, sock: Any, tls: Tls) -> None:
        self.sock = sock
        self.tls = tls
        self._shut_down = False
        self.settimeout, self.fileno = sock.settimeout, sock.fileno
        self.detach, self.close = sock.detach, sock.close

    def handshake(self, data: bytes = b"", deadline: Optional[float] = None) -> None:
        """Do the handshake. `data` has come already; `deadline` is of time.monotonic().

        Raises:
            ssl.SSLCertVerificationError, TlsError and other OSErrors.
        """
        try:
            while not self.tls.handshake(data):
                self.sock.sendall(self.tls.replies())
                if deadline is not None:
                    self.sock.settimeout(max(0.001, deadline - time.monotonic()))
                data = self.sock.recv(RECORD)
                if not data:
                    raise TlsError("the connection was closed in the middle of the TLS handshake")
        except (ssl.SSLError, TlsError):
            self._send_alert()
            raise
        self.sock.sendall(self.tls.replies())

    def recv(self, size: int) -> bytes:
        """Like a socket's; after `shutdown` it returns ciphertext, which can only be dropped."""
        if self._shut_down:
            data: bytes = self.sock.recv(size)
            return data
        taken = 0

        def recv(wanted: int) -> bytes:
            nonlocal taken
            ciphertext: bytes = self.sock.recv(wanted)
            taken += len(ciphertext)
            return ciphertext

        while taken <= 2 * RECORD:  # one record more than any data needs
            data = self.tls.receive(size, recv)
            if data or self.tls.ended:
                return data
        raise TlsError("the peer sends TLS records without data in them")

    def sendall(self, data: bytes) -> None:
        """Like a socket's."""
        if self.sock.fileno() < 0:  # data that is encrypted but not sent would break all that follows
            raise OSError(errno.EBADF, "the connection was closed or given away")
        self.sock.sendall(self.tls.encrypt(data))

    def shutdown(self, how: int) -> None:
        """Like a socket's, after a close_notify."""
        if not self._shut_down and self.sock.fileno() >= 0:
            self._shut_down = True
            self.sock.sendall(self.tls.close())
        self.sock.shutdown(how)

    def _send_alert(self) -> None:
        try:
            self.sock.sendall(self.tls.replies())
        except OSError:
            pass


class TlsStream(SocketStream):
    """Like a SocketStream, through TLS whose handshake is done."""

    def __init__(self, sock: socket.socket, tls: Tls) -> None:
        super().__init__(sock)
        self._tls: Optional[Tls] = tls  # None after `shutdown`
        self._unsent = _NOTHING  # ciphertext
        self._owed = 0  # bytes of plaintext in it, not reported as taken yet

    @property
    def pending(self) -> bool:
        """Whether bytes are here that no poll would report."""
        return self._tls is not None and self._tls.pending

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end; BlockingIOError if there are none."""
        tls = self._tls
        if tls is None:
            return super().recv(size)  # will be dropped, so it is not decrypted
        try:
            data = tls.receive(size, super().recv)
        finally:
            self._reply(tls)
        if data or tls.ended:
            return data
        raise BlockingIOError

    def recv_into(self, buffer: memoryview) -> int:
        """Like `recv`, into `buffer`; returns how many bytes came, 0 at the end."""
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: Union[bytes, memoryview]) -> int:
        """Bytes that were taken; BlockingIOError if none could be.

        All that was encrypted must be sent. If the kernel takes only a part, the bytes count as taken once the rest is
        sent; until then the caller passes them again, as `interfaces.Stream.send` says.
        """
        self._flush()
        if not self._owed and self._tls is not None:
            self._owed = min(len(data), CHUNK)
            self._unsent = memoryview(self._tls.encrypt(memoryview(data)[: self._owed]))
            self._flush()
        elif self._tls is None:
            return super().send(data)  # fails: the socket was shut down
        taken, self._owed = self._owed, 0
        return taken

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Until ready for any of what is asked, or `timeout` seconds have passed."""
        if not (read and self.pending):
            super().wait(read, write, timeout)

    def shutdown(self) -> None:
        """Send close_notify and FIN; the FIN alone if the peer does not read."""
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
            self._unsent = self._unsent[super().send(self._unsent) :] or _NOTHING

    def _reply(self, tls: Tls) -> None:
        """Send TLS's own answers. If they must wait, they are sent before the next data."""
        replies = tls.replies()
        if not replies:
            return
        self._unsent = memoryview(bytes(self._unsent) + replies)
        try:
            self._flush()
        except BlockingIOError:
            if len(self._unsent) > CHUNK + MAX_REPLIES:
                raise TlsError("the peer asks for new keys and does not read the answers") from None
        except OSError:
            pass  # the next write raises it


def stream_over(sock: Union[socket.socket, TlsSocket]) -> SocketStream:
    """The stream over a socket that `dial.open_socket` gave or a server accepted. It owns the socket from here on."""
    return TlsStream(sock.sock, sock.tls) if isinstance(sock, TlsSocket) else SocketStream(sock)


def _failed(error: ssl.SSLError) -> TlsError:
    if error.reason == "WRONG_VERSION_NUMBER":
        return TlsError("the peer does not speak TLS")
    return TlsError("TLS: " + (error.reason or str(error)).replace("_", " ").lower())

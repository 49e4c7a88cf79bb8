"""TLS in three classes: `Tls` does no I/O, `TlsSocket` is a blocking socket, `TlsStream` is a non-blocking stream.

A connection begins as a TlsSocket, for the TLS handshake and the HTTP head. Then `stream_over` makes a TlsStream of it.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from typing import Any, Callable, List, Optional, Union

from medusa.transports.socket_stream import SocketStream

RECORD = 16 * 1024
"""The most bytes of plaintext in one TLS record (RFC 8446 section 5.1).

No single call passes more bytes to OpenSSL, because OpenSSL's memory buffers never shrink.
"""

CHUNK = 64 * 1024
"""The most bytes of plaintext that TlsStream encrypts before the kernel has taken the ciphertext."""

_PARTIAL_CHAIN = 0x80000
"""OpenSSL's X509_V_FLAG_PARTIAL_CHAIN, for which Python has had a name only since 3.10."""

_NOTHING = memoryview(b"")  # replaces an empty rest of a view, which would keep the whole buffer alive

NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""OpenSSL's names for the error that the peer's first bytes are no TLS. Each version of OpenSSL uses some of them."""

MAX_REPLIES = 16 * 1024
"""The most bytes of TLS's own answers that may wait to be sent, besides data.

Without a limit, a peer that keeps asking for new keys, and never reads the answers, would fill the memory.
"""


def client_context(insecure: bool = False) -> ssl.SSLContext:
    """Returns the TLS settings of a client. It trusts the certificates of the system, or those in SSL_CERT_FILE.

    Args:
        insecure: True to accept any certificate.
    """
    context = ssl.create_default_context()
    _load_defaults_of_empty_variables(context)
    verify_alike(context)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_defaults_of_empty_variables(context: ssl.SSLContext) -> None:
    """Makes SSL_CERT_FILE and SSL_CERT_DIR count as unset if they are empty, as for curl.

    For OpenSSL an empty variable is the name of no file or directory.
    """
    paths = ssl.get_default_verify_paths()
    try:
        if os.environ.get(paths.openssl_cafile_env) == "":
            context.load_verify_locations(cafile=paths.openssl_cafile)
    except OSError:
        pass  # the system has no such file
    if os.environ.get(paths.openssl_capath_env) == "":
        context.load_verify_locations(capath=paths.openssl_capath)


def verify_alike(context: ssl.SSLContext) -> None:
    """Makes a client's context accept the certificates that curl accepts, with every version of Python.

    Python 3.13 refuses a certificate that breaks a rule of RFC 5280, for example one without an Authority Key
    Identifier. Earlier versions refuse a certificate whose issuer is trusted but is not a root. Python before 3.10 also
    accepts TLS 1.0, which this function forbids.
    """
    flags = int(context.verify_flags) & ~ssl.VERIFY_X509_STRICT | _PARTIAL_CHAIN
    context.verify_flags = ssl.VerifyFlags(flags)
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        context.minimum_version = ssl.TLSVersion.TLSv1_2


class TlsError(OSError):
    """Raised if TLS failed, in the handshake or later. The text says why."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EPROTO, text)


class NotTls(TlsError):
    """Raised if the peer has answered, but not in TLS."""

    def __init__(self) -> None:
        super().__init__("the peer does not speak TLS")


class Tls:
    """One end of a TLS connection, without I/O: it converts plaintext to ciphertext and back.

    Args:
        server_name: the name that the server's certificate must have; None at the server's end.

    Attributes:
        ended: True if no more data will come. Either the peer sent a close_notify, or its stream ended without one.
            Callers need not tell these apart: a link that ends properly ends with the Close of a websocket.
    """

    def __init__(self, context: ssl.SSLContext, server_name: Optional[str] = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_name is None, server_name)
        self._fed = _NOTHING  # ciphertext that has come, but was not passed to OpenSSL yet
        self._little_data = False  # True if less than half of the last ciphertext was data
        self._failure: Optional[TlsError] = None
        self.ended = False

    @property
    def pending(self) -> bool:
        """True if `receive` may return plaintext, or raise an error, without more ciphertext."""
        return not self.ended and bool(self._failure or self._fed or self._in.pending or self._ssl.pending())

    def handshake(self, data: bytes = b"") -> bool:
        """Continues the handshake with the ciphertext `data`. Returns True if the handshake is done.

        After each call, send what `replies` returns, also if the call raised: the replies then tell the peer the error.

        Raises:
            ssl.SSLCertVerificationError, TlsError: the handshake failed.
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
        """Returns up to `size` bytes of plaintext; b"" if no record is whole yet, or if `ended` is True.

        Args:
            recv: a function that returns ciphertext, at most as many bytes as it is asked for. Called at most once.

        Raises:
            TlsError: TLS failed. Errors of `recv` are passed on.
        """
        data = self._read(size)
        if not data and not self.ended:
            # 128 KiB of requests for new keys would stop all other sessions on the event loop for a tenth of a second.
            self._fed = memoryview(recv(RECORD if self._little_data else max(size, RECORD)))
            self.ended = not self._fed
            came = len(self._fed)
            data = self._read(size)
            self._little_data = 2 * len(data) < came
        return data

    def encrypt(self, data: Union[bytes, memoryview]) -> bytes:
        """Returns the ciphertext of `data`, with any waiting `replies` in front of it. Raises TlsError if TLS fails."""
        view, parts, at = memoryview(data), [self._out.read()], 0
        try:
            while at < len(view):
                at += self._ssl.write(view[at : at + RECORD])
                parts.append(self._out.read())
        except ssl.SSLError as error:
            raise _failed(error) from None
        return b"".join(parts)

    def replies(self) -> bytes:
        """Returns the bytes that TLS itself has to send now, such as parts of the handshake. They may be empty."""
        return self._out.read() if self._out.pending else b""

    def close(self) -> bytes:
        """Returns the close_notify to send. After this call, nothing more can be decrypted."""
        try:
            self._ssl.unwrap()
        except OSError:  # the peer's close_notify has not come yet
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
                    break  # return the good data first; the next call raises
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

    def handshake(self, data: bytes = b"", deadline: Optional[float] = None) -> None:
        """Does the whole handshake. Blocks until it is done.

        Args:
            data: ciphertext that was already read from the socket.
            deadline: the latest end, as a time of time.monotonic().

        Raises:
            ssl.SSLCertVerificationError, TlsError: the handshake failed.
            OSError: the connection failed, or the deadline passed.
        """
        try:
            while not self.tls.handshake(data):
                self.sock.sendall(self.tls.replies())
                if deadline is not None:
                    self.sock.settimeout(_left(deadline))
                data = self.sock.recv(RECORD)
                if not data:
                    raise TlsError("the connection was closed in the middle of the TLS handshake")
        except (ssl.SSLError, TlsError):
            self._send_alert()
            raise
        self.sock.sendall(self.tls.replies())

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


class TlsStream(SocketStream):
    """A stream over a socket with TLS. The handshake must already be done. See SocketStream."""

    def __init__(self, sock: socket.socket, tls: Tls) -> None:
        super().__init__(sock)
        self._tls: Optional[Tls] = tls  # None after `shutdown`
        self._unsent = _NOTHING  # ciphertext that the kernel has not taken yet
        self._owed = 0  # bytes of plaintext in `_unsent` that `send` has not reported as sent yet

    @property
    def pending(self) -> bool:
        """True if bytes have come that a poll would not report, because they are no longer in the kernel."""
        return self._tls is not None and self._tls.pending

    def recv(self, size: int) -> bytes:
        """Reads and returns up to `size` bytes; b"" at the end. Raises BlockingIOError if there are none now."""
        tls = self._tls
        if tls is None:
            return super().recv(size)  # not decrypted: after `shutdown` all input is dropped
        try:
            data = tls.receive(size, super().recv)
        finally:
            self._reply(tls)
        if data or tls.ended:
            return data
        raise BlockingIOError

    def recv_into(self, buffer: memoryview) -> int:
        """Reads into `buffer`. Returns the number of bytes; 0 at the end. Raises BlockingIOError if none are there."""
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: Union[bytes, memoryview]) -> int:
        """Encrypts and sends a part of `data`, or all of it. Returns the number of bytes sent.

        Raises BlockingIOError if the kernel takes only a part of the ciphertext. The stream keeps the rest and sends it
        in the next call, before anything else. So pass the same bytes again (see `interfaces.Stream.send`): that call
        reports them as sent, and does not encrypt them again.
        """
        self._flush()
        if not self._owed and self._tls is not None:
            self._owed = min(len(data), CHUNK)
            self._unsent = memoryview(self._tls.encrypt(memoryview(data)[: self._owed]))
            self._flush()
        elif self._tls is None:
            return super().send(data)  # raises OSError, because the socket was shut down
        taken, self._owed = self._owed, 0
        return taken

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
            self._unsent = self._unsent[super().send(self._unsent) :] or _NOTHING

    def _reply(self, tls: Tls) -> None:
        """Sends the answers that TLS itself has to send. What the kernel cannot take is sent before the next data.

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
            if len(self._unsent) > CHUNK + MAX_REPLIES:
                raise TlsError("the peer asks for new keys and does not read the answers") from None
        except OSError:
            pass  # the next write raises it again


def stream_over(sock: Union[socket.socket, TlsSocket]) -> SocketStream:
    """Returns a stream over a connected socket. The stream owns the socket from then on.

    The socket comes from `dial.open_socket`, or was accepted by a server. If it has TLS, the handshake must be done.
    """
    return TlsStream(sock.sock, sock.tls) if isinstance(sock, TlsSocket) else SocketStream(sock)


def _left(deadline: float) -> float:
    """Returns the seconds until `deadline`. Raises socket.timeout if that time has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _failed(error: ssl.SSLError) -> TlsError:
    if error.reason in NOT_TLS:
        return NotTls()
    return TlsError("TLS: " + (error.reason or str(error)).replace("_", " ").lower())

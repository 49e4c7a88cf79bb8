"""Converts plaintext to TLS ciphertext and back, between buffers. No I/O."""

from __future__ import annotations

import errno
import ssl
from typing import Any, Callable, Optional, Tuple, Union

RECORD = 16 * 1024
"""The most bytes of plaintext in one TLS record (RFC 8446 section 5.1)."""

Buffers = Tuple[ssl.MemoryBIO, ssl.MemoryBIO]
"""OpenSSL's buffers of ciphertext, in and out. They are empty between two calls of a method of Tls."""

NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""OpenSSL's names for the error that the peer's first bytes are no TLS. Each version of OpenSSL uses some of them."""

NOTHING = memoryview(b"")
"""An empty view. It replaces a view of which nothing is left, because that view would keep its whole buffer alive."""


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
        buffers: buffers that all connections of one thread may share. By default the connection has its own. They grow
            to the size of what is read or written at once, and never shrink.

    Attributes:
        ended: True if no more data will come. Either the peer sent a close_notify, or its stream ended without one.
            Callers need not tell these apart: a link that ends properly ends with the Close of a websocket.
    """

    def __init__(
        self, context: ssl.SSLContext, server_name: Optional[str] = None, buffers: Optional[Buffers] = None
    ) -> None:
        self._in, self._out = buffers or (ssl.MemoryBIO(), ssl.MemoryBIO())
        self._ssl = context.wrap_bio(self._in, self._out, server_name is None, server_name)
        self._fed = NOTHING  # ciphertext that has come, but was not passed to OpenSSL yet
        self._replies = b""  # ciphertext that TLS itself has to send
        self._bulk = False  # True if the last ciphertext was a record or more, and half of it was data
        self._failure: Optional[TlsError] = None
        self.ended = False

    @property
    def pending(self) -> bool:
        """True if `receive` may return plaintext, or raise an error, without more ciphertext."""
        return not self.ended and bool(self._failure or self._fed or self._ssl.pending())

    def handshake(self, data: bytes = b"") -> bool:
        """Continues the handshake with the ciphertext `data`. Returns True if the handshake is done.

        After each call, send what `replies` returns. Do this also if the call raised: the replies then tell the peer
        the error.

        Raises:
            ssl.SSLCertVerificationError, TlsError: the handshake failed.
        """
        self._fed = memoryview(data)
        try:
            self._feed()
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLError as error:
            raise _failed(error) from None
        finally:
            self._empty()
        return True

    def receive(self, size: int, recv: Callable[[int], bytes]) -> bytes:
        """Returns up to `size` bytes of plaintext; b"" if no record is whole yet, or if `ended` is True.

        For the rest see `receive_into`.
        """
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.receive_into(buffer, recv)])

    def receive_into(self, buffer: memoryview, recv: Callable[[int], bytes]) -> int:
        """Writes plaintext to `buffer`. Returns its size; 0 if no record is whole yet, or if `ended` is True.

        Args:
            recv: a function that returns ciphertext, at most as many bytes as it is asked for. Called at most once.

        Raises:
            TlsError: TLS failed. Errors of `recv` are passed on.
        """
        size = self._read(buffer)
        if not size and not self.ended:
            # 128 KiB of requests for new keys would stop all other sessions on the event loop for a tenth of a second.
            # And for a keystroke, three system calls would get and free a large buffer.
            self._fed = memoryview(recv(max(len(buffer), RECORD) if self._bulk else RECORD))
            self.ended = not self._fed
            came = len(self._fed)
            size = self._read(buffer)
            self._bulk = RECORD <= came <= 2 * size
        return size

    def encrypt(self, data: Union[bytes, memoryview]) -> bytes:
        """Returns the ciphertext of `data`, with any waiting `replies` in front of it. Raises TlsError if TLS fails."""
        view, at = memoryview(data), 0
        try:
            while at < len(view):
                at += self._ssl.write(view[at:])  # one record
        except ssl.SSLError as error:
            raise _failed(error) from None
        finally:
            self._empty()
        return self.replies()

    def replies(self) -> bytes:
        """Returns the bytes that TLS itself has to send now, such as parts of the handshake. They may be empty."""
        data, self._replies = self._replies, b""
        return data

    def close(self) -> bytes:
        """Returns the close_notify to send. After this call, nothing more can be decrypted."""
        try:
            self._ssl.unwrap()
        except OSError:  # the peer's close_notify has not come yet
            pass
        self._empty()
        return self.replies()

    def _read(self, buffer: memoryview) -> int:
        if self._failure is not None:
            raise self._failure
        size = 0
        try:
            while size < len(buffer) and not self.ended:
                if not self._in.pending and not self._ssl.pending():
                    if not self._fed:
                        break
                    self._feed()
                try:
                    taken: Any = self._ssl.read(len(buffer) - size, buffer[size:])
                except ssl.SSLWantReadError:
                    continue
                self.ended = not taken
                size += taken
        except ssl.SSLError as error:
            self._failure = _failed(error)
            if not size:  # else the good data first; the next call raises
                raise self._failure from None
        finally:
            self._empty()
        return size

    def _feed(self) -> None:
        self._in.write(self._fed)
        self._fed = NOTHING

    def _empty(self) -> None:
        """Takes what is left out of OpenSSL's buffers, because another connection may use them next."""
        if self._in.pending:
            self._fed = memoryview(self._in.read())
        if self._out.pending:
            self._replies += self._out.read()


def _failed(error: ssl.SSLError) -> TlsError:
    if error.reason in NOT_TLS:
        return NotTls()
    return TlsError("TLS: " + (error.reason or str(error)).replace("_", " ").lower())

"""TLS: the certificates that a client trusts, the handshake, and a stream over it.

A connection begins as a TlsSocket, for the TLS handshake and the HTTP head. Then `stream_over` makes a TlsStream of it.

context   the certificates that a client trusts
engine    TLS between buffers, without I/O
blocking  a socket with TLS, for the handshake and for code that blocks
stream    a stream over TLS, which does not block
trust     says why a server's certificate was not accepted
"""

from __future__ import annotations

from medusa.transports.tls.blocking import TlsSocket
from medusa.transports.tls.context import client_context, verify_alike
from medusa.transports.tls.engine import RECORD, Buffers, NotTls, Tls, TlsError
from medusa.transports.tls.stream import CHUNK, MAX_WAITING, TlsStream, stream_over

__all__ = [
    "CHUNK",
    "MAX_WAITING",
    "RECORD",
    "Buffers",
    "NotTls",
    "Tls",
    "TlsError",
    "TlsSocket",
    "TlsStream",
    "client_context",
    "stream_over",
    "verify_alike",
]

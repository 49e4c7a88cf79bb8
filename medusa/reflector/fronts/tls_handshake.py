"""Performs the server's part of a TLS handshake, for a connection of which the first bytes have been read."""

from __future__ import annotations

from medusa.protocol.errors import HandshakeError
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.certificate import Certificate
from medusa.transports.tls import RECORD, Tls, TlsError, TlsSocket

HANDSHAKE = 0x16
"""The first byte of every TLS connection: the type of a handshake record (RFC 8446, section 5.1)."""


def decrypt(accepted: Accepted, certificate: Certificate | None, data: bytes) -> bytes:
    """Performs the TLS handshake that begins with `data`. Returns the first decrypted bytes of the request's head.

    If `certificate` is None, returns `data` as it is.

    Raises:
        TlsError: the handshake failed.
        HandshakeError: the peer speaks TLS, and there is no certificate; or it does not, and there is one.
    """
    if not data:  # a port scan sends nothing
        return data
    if (data[0] == HANDSHAKE) is (certificate is None):
        scheme = "https" if certificate else "http"
        raise HandshakeError(400, "%s is spoken here, and this was not: ask with %s://" % (scheme, scheme))
    if certificate is None:
        return data
    secure = TlsSocket(accepted.sock, Tls(certificate.context, buffers=certificate.buffers))
    try:
        secure.handshake(data)
    except (OSError, HandshakeError) as error:
        # HandshakeError is the timeout. It must not be answered: no plain text can be sent any more.
        raise TlsError(getattr(error, "strerror", None) or str(error)) from None
    accepted.sock = secure
    return secure.recv(RECORD)

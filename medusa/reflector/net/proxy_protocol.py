"""The first bytes of a connection: a PROXY header, if a trusted proxy has to send one, and what comes after it."""

from __future__ import annotations

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.proxy_header import parse_proxy_header
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import within
from medusa.transports.tls import RECORD


def read_first_bytes(accepted: Accepted, config: ReflectorConfig) -> bytes:
    """The first bytes of a connection, after a PROXY header if one must come; empty if the peer sends nothing.

    Sets the connection's `address` and `proxied`. From an untrusted address a PROXY header is not parsed: it is then
    refused like anything else that does not belong there.

    Raises:
        HandshakeError: 400, the header is missing or broken.
        OSError
    """
    sock = accepted.sock
    data = bytes(sock.recv(RECORD))
    if not data or not config.proxy_protocol or not within(accepted.address[0], config.trusted_proxy):
        return data
    while (header := parse_proxy_header(data)) is None:
        more = sock.recv(RECORD)
        if not more:
            raise HandshakeError(400, "the PROXY header ended early")
        data += more
    accepted.address, accepted.proxied = header.source or accepted.address, not header.local
    return header.rest or bytes(sock.recv(RECORD))

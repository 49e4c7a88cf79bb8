"""Reads the first bytes of a connection. If the peer is a trusted proxy, reads a PROXY header before them."""

from __future__ import annotations

from collections.abc import Callable

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.proxy_header import parse_proxy_header
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import within
from medusa.transports.tls import RECORD


def read_first_bytes(accepted: Accepted, config: ReflectorConfig, named: Callable[[Accepted], None]) -> bytes:
    """Returns the first bytes of a connection, without the PROXY header of a trusted proxy. b"" if no bytes come.

    If the configuration says so, a trusted proxy has to send a PROXY header. This function then sets `accepted.address`
    and `accepted.proxied`, as the header says. If any other peer sends a PROXY header, the header is returned like all
    other bytes. It is refused later, because it is no valid request or greeting.

    Args:
        named: called with `accepted` as soon as a PROXY header was read.

    Raises:
        HandshakeError: 400, the header is missing or malformed.
        OSError: reading failed.
        Exception: what `named` raises.
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
    named(accepted)
    return header.rest or bytes(sock.recv(RECORD))

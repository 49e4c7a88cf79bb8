"""What a trusted proxy says ahead of a connection's own bytes: whose it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.proxy_header import parse_proxy_header
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net import client_address
from medusa.transports.tls import RECORD


class Begun(NamedTuple):
    """A connection of which something was read. `proxied`: it is somebody else's than its peer's, who may be at
    `address`, or anywhere. `data`: what was read; empty where nothing came."""

    address: tuple[Any, ...]
    proxied: bool
    data: bytes


def begin(sock: Any, address: tuple[Any, ...], config: ReflectorConfig) -> Begun:
    """Read the first bytes, and the PROXY header ahead of them from whom one must come.

    From whom it may not come, it is not looked for: it is then what anything is that does not belong there.

    Raises:
        HandshakeError: 400, there is none, or a broken one.
        OSError
    """
    data = bytes(sock.recv(RECORD))
    if not data or not config.proxy_protocol or not client_address.within(address[0], config.trusted_proxy):
        return Begun(address, False, data)
    while (header := parse_proxy_header(data)) is None:
        more = sock.recv(RECORD)
        if not more:
            raise HandshakeError(400, "the PROXY header ended early")
        data += more
    return Begun(header.source or address, not header.local, header.rest or bytes(sock.recv(RECORD)))


def source_of(host: str, config: ReflectorConfig) -> str | None:
    """Under what the connections of the client at `host` are counted; None for this host and for trusted proxies, who
    speak for everybody."""
    if client_address.is_loopback(host) or client_address.within(host, config.trusted_proxy):
        return None
    return client_address.site(host)

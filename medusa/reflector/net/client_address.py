"""Finds which host a connection comes from: the peer itself, or the client that a trusted proxy names. No I/O.

A proxy names the client in the field X-Forwarded-For, or in a PROXY header before all other bytes (proxy_protocol).
"""

from __future__ import annotations

import functools
import ipaddress
import re

from medusa.protocol.http.head import Headers
from medusa.reflector.config import ReflectorConfig

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPV6_SITE = 64
"""The prefix length of an IPv6 network that counts as one host. One host can usually use all addresses of a network."""

_PROXY_FIELD = re.compile(r"(?:forwarded|via|x-forwarded-.*|x-real-ip|x-client-ip|cf-connecting-ip|true-client-ip)\Z")
"""Header fields that proxies add."""


def is_forwarded(headers: Headers) -> bool:
    """Returns True if the header fields of a request say that a proxy has forwarded it."""
    return any(_PROXY_FIELD.match(name) for name, _ in headers.items)


@functools.lru_cache(maxsize=16)
def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Parses `texts` as networks. An address becomes a network of that one address. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def within(host: str, networks: tuple[str, ...]) -> bool:
    """Returns True if the address `host` is in one of `networks`."""
    if not networks:
        return False
    address = parse_address(host)
    return any(address in network for network in parse_networks(networks))


@functools.lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Returns True if `host` is a loopback address."""
    return parse_address(host).is_loopback


@functools.lru_cache(maxsize=1024)
def parse_address(host: str) -> Address:
    """Returns the parsed address. An IPv4-mapped IPv6 address becomes that IPv4 address. Raises ValueError."""
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


@functools.lru_cache(maxsize=1024)
def site(host: str) -> str:
    """Returns the key under which `host` is counted: an IPv4 address itself, or the /64 network of an IPv6 address."""
    address = parse_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), IPV6_SITE), strict=False))
    return str(address)


def source_of(host: str, config: ReflectorConfig) -> str | None:
    """Returns the key under which the connections of the client at `host` are counted.

    Returns None for a loopback address and for a trusted proxy. Their connections are not counted, because they may
    come from many clients.
    """
    if is_loopback(host) or within(host, config.trusted_proxy):
        return None
    return site(host)


def client_of(host: str, headers: Headers, proxies: tuple[str, ...]) -> str:
    """Returns the address of the client that sent a request.

    If `host` is not a trusted proxy, `host` is the client. If it is a trusted proxy, the client is the last address in
    X-Forwarded-For that is not a trusted proxy. Each proxy appends the address of its peer. The addresses before the
    client's are not used: the client can send any.

    Args:
        host: the address from which the request came.
        headers: the header fields of the request.
        proxies: the addresses and networks of the trusted proxies.
    """
    if not proxies or not within(host, proxies):
        return host
    hops = ",".join(value for name, value in headers.items if name == "x-forwarded-for").split(",")
    for hop in reversed(hops):
        try:
            host = str(parse_address(hop.strip()))
        except ValueError:
            break
        if not within(host, proxies):
            break
    return host

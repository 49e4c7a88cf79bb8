"""Which host a connection comes from: the peer itself, or the client that a trusted proxy names.

A proxy names it in X-Forwarded-For, or in a PROXY header ahead of all other bytes (proxy_protocol). No I/O.
"""

from __future__ import annotations

import functools
import ipaddress

from medusa.protocol.http.head import Headers
from medusa.reflector.config import ReflectorConfig

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPV6_SITE = 64
"""Bits of a network's prefix: a host that has one address of such a network can use all of them."""


@functools.lru_cache(maxsize=16)
def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks, and addresses as networks of one. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def within(host: str, networks: tuple[str, ...]) -> bool:
    """True if an address is in one of `networks`."""
    if not networks:
        return False
    address = parse_address(host)
    return any(address in network for network in parse_networks(networks))


@functools.lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """True if an address is this host's own."""
    return parse_address(host).is_loopback


def parse_address(host: str) -> Address:
    """An address; an IPv4 address that is written as one of IPv6 becomes one of IPv4. Raises ValueError."""
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def site(host: str) -> str:
    """The key under which an address is counted: the address itself, or the network of one of IPv6."""
    address = parse_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), IPV6_SITE), strict=False))
    return str(address)


def source_of(host: str, config: ReflectorConfig) -> str | None:
    """The key under which the connections of the client at `host` are counted.

    None, for no counting, is the answer for this host and for trusted proxies, which speak for many clients.
    """
    if is_loopback(host) or within(host, config.trusted_proxy):
        return None
    return site(host)


def client_of(host: str, headers: Headers, proxies: tuple[str, ...]) -> str:
    """The client that sent a request which came from `host`, by X-Forwarded-For.

    Each proxy appends the address that it was called from. The last address that is no proxy's is the client's; what
    stands before it was written by the client and is not believed.
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

"""Who is at the other end: the peer itself, or whom a trusted proxy speaks for."""

from __future__ import annotations

import functools
import ipaddress

from medusa.protocol.http.head import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPV6_SITE = 64
"""Bits: whoever has one address of such a network has them all."""


@functools.lru_cache(maxsize=16)
def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Of addresses and networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def within(host: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is in one of `networks`."""
    if not networks:
        return False
    address = parse_address(host)
    return any(address in network for network in parse_networks(networks))


@functools.lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address is this host's own."""
    return parse_address(host).is_loopback


def parse_address(host: str) -> Address:
    """An address, one of IPv4 also where it comes as one of IPv6. Raises ValueError."""
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def site(host: str) -> str:
    """Whom an address stands for where addresses are counted: itself, or its network of IPv6."""
    address = parse_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), IPV6_SITE), strict=False))
    return str(address)


def client_of(host: str, headers: Headers, proxies: tuple[str, ...]) -> str:
    """Who sent a request that came from `host`: by X-Forwarded-For, as far as it is from one of `proxies`.

    Each proxy appends whom it heard; the last who is no proxy is the client, and what he wrote is not looked at.
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

"""Finds settings that make a reflector unsafe. No I/O. Other modules check secrets in files."""

from __future__ import annotations

from collections.abc import Iterator

from medusa.commands.reflector.check.audiences import is_exposed
from medusa.directory.redis_url import RedisUrl
from medusa.reflector.cluster.site_address import is_loopback_host
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.client_address import parse_networks

BOUNDS = ("max_sessions", "max_startups", "per_source_max_startups", "max_held", "message_timeout")
"""Options that limit what one peer can use. If one of them is off, a stranger can use up the process's resources."""


def unsafe_settings(config: ReflectorConfig) -> Iterator[str]:
    """Yields a sentence for each setting that is unsafe."""
    exposed = is_exposed(config)
    if exposed and config.trusted_network:
        yield (
            f"trusted-network: everyone who reaches {config.bind_ip} may attach to any session whose id they know, "
            "and nothing says who they are"
        )
    if exposed and config.raw_port is not None:
        yield "raw-port: raw TCP is not encrypted, and this address is not loopback"
    if config.legacy_signatures and config.tls_cert is None:
        yield "legacy-signatures: others who see such a signature can use it again, and without TLS they see it"
    for network in parse_networks(config.trusted_proxy):
        if network.prefixlen == 0:
            yield f"trusted-proxy: {network} is every address: each peer can name any other address as its own"
    for network in parse_networks(config.metrics_from):
        if network.prefixlen == 0:
            yield f"metrics-from: {network} is every address: everyone who reaches /metrics can read it"
    if exposed:
        yield from (
            f"{_option(name)}: no limit, so that strangers can use up the process" for name in _unbounded(config)
        )


def unsafe_directory(url: RedisUrl) -> Iterator[str]:
    """Yields a sentence for each fault that makes the connection to a Redis unsafe."""
    if url.kind == "unix" or all(is_loopback_host(host) for host, _ in url.hosts):
        return
    if not url.secure:
        yield f"directory: the way to {url.where} is not encrypted; write rediss: for TLS"
    if url.password is None:
        yield f"directory: no password for {url.where}: others who reach it can end every session"


def _unbounded(config: ReflectorConfig) -> list[str]:
    values = {name: getattr(config, name) for name in BOUNDS} | {"max_startups": config.max_startups[-1]}
    return [name for name, value in values.items() if value == 0]


def _option(name: str) -> str:
    return name.replace("_", "-")

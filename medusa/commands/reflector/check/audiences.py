"""Says which paths a reflector serves to which peers, from its configuration. No I/O."""

from __future__ import annotations

import ipaddress

from medusa.reflector.auth.access import Outcome, Place, Resource, decide
from medusa.reflector.config import ReflectorConfig

PATHS = {
    Resource.ATTACH: ("/attach/",),
    Resource.SESSIONS: ("/status", "/sessions"),
    Resource.METRICS: ("/metrics",),
}
"""The paths of the resources that not every peer may use."""

OPEN = ("/healthz", "/readyz", "/agent.sh")

SIGNED = ("/LOGIN/medusa/attach/", "/LOGIN/medusa/sessions")

EVERYONE, THIS_HOST = "everyone who reaches it", "every program of this host"
MONITORS = "monitoring"
ACCOUNTS, ADMINS = "accounts, for what they sign", "admins, for what they sign"


def addresses(config: ReflectorConfig) -> list[str]:
    """Returns the URLs that the reflector would listen on."""
    host = f"[{config.bind_ip}]" if ":" in config.bind_ip else config.bind_ip
    urls = [f"{'https' if config.tls_cert else 'http'}://{host}:{config.port or 'PORT'}"]
    return urls if config.raw_port is None else [*urls, f"tcp://{host}:{config.raw_port or 'PORT'}"]


def is_exposed(config: ReflectorConfig) -> bool:
    """True if the reflector would listen on an address that is not loopback."""
    try:
        return not ipaddress.ip_address(config.bind_ip).is_loopback
    except ValueError:
        return True


def audiences(config: ReflectorConfig) -> dict[str, list[str]]:
    """Returns the paths that the reflector would serve: group of peers, such as `monitoring` -> paths."""
    found: dict[str, list[str]] = {EVERYONE: list(OPEN), THIS_HOST: [], MONITORS: [], ACCOUNTS: [], ADMINS: []}
    raw = {Resource.RAW_ATTACH: ("raw TCP",)} if config.raw_port is not None else {}
    for resource, paths in {**PATHS, **raw}.items():
        for place, peers in ((Place.ELSEWHERE, EVERYONE), (Place.THIS_HOST, THIS_HOST)):
            if decide(resource, place, config) is Outcome.ALLOWED:
                found[peers] += paths
                break
    if config.metrics_from:
        found[MONITORS] += PATHS[Resource.METRICS]
    if config.accounts is not None:
        found[ACCOUNTS] += [*SIGNED, *(["raw TCP"] if config.raw_port is not None else [])]
        if config.admins:
            found[ADMINS] += [*PATHS[Resource.SESSIONS], *PATHS[Resource.METRICS]]
    return {peers: paths for peers, paths in found.items() if paths}

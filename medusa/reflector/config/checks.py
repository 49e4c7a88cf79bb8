"""Checks the options of a reflector, and combinations of them."""

from __future__ import annotations

import ipaddress

from medusa.protocol.raw.codec import MAX_LENGTH
from medusa.reflector.config.advertised import is_advertisable
from medusa.reflector.config.options import EVERYBODY, ReflectorConfig

FOREVER = 10**9
"""The longest time that an option may set: thirty years, in seconds. The event loop cannot wait for longer."""

_ABOVE_0 = ("wait_timeout", "keepalive", "max_url_lifetime")
_FROM_0 = ("drain_timeout", "message_timeout", "write_stall", "idle_timeout", "max_duration", "max_hold")
_COUNTS = (
    "max_sessions",
    "max_sessions_per_login",
    "max_sessions_per_address",
    "max_waiting_per_login",
    "max_waiting_per_address",
    "max_connects_per_minute",
    "max_legs",
    "per_source_max_startups",
    "max_held",
    "max_held_per_login",
    "max_held_sessions",
    "max_held_sessions_per_login",
)


class ConfigError(Exception):
    """Raised if a setting cannot be used. The text names the option and the reason."""


def verify(config: ReflectorConfig) -> None:
    """Checks each setting, and combinations of settings. Raises ConfigError if one cannot be used."""
    _verify_address(config)
    _verify_combinations(config)
    _verify_site(config)
    for name in _ABOVE_0:
        if not 0 < getattr(config, name) <= FOREVER:
            raise ConfigError("%s: must be above 0 and at most %d seconds" % (_option(name), FOREVER))
    for name in _FROM_0:
        if not 0 <= getattr(config, name) <= FOREVER:
            raise ConfigError("%s: must be between 0 and %d seconds" % (_option(name), FOREVER))
    for name in _COUNTS:
        if (getattr(config, name) or 0) < 0:
            raise ConfigError("%s: must be 0, for no limit, or more" % _option(name))
    start, rate, full = config.max_startups
    if not (0 <= start <= full and 0 <= rate <= 100):
        raise ConfigError("max-startups: must be START:RATE:FULL, RATE at most 100 percent, START at most FULL")
    if not 1 <= config.max_message <= MAX_LENGTH:
        raise ConfigError("max-message: must be between 1 and %d bytes" % MAX_LENGTH)


def _verify_address(config: ReflectorConfig) -> None:
    try:
        address = ipaddress.ip_address(config.bind_ip)
    except ValueError:
        raise ConfigError("bind-ip: %r is not an IP address" % config.bind_ip) from None
    if not address.is_loopback and not config.trusted_network and config.accounts is None:
        raise ConfigError(
            "bind-ip: %s is not a loopback address, and /attach/ asks nobody who they are. "
            "Give --accounts for sessions that are signed for, "
            "or --trusted-network if everyone who can reach it may use it." % config.bind_ip
        )
    if not address.is_loopback and not config.trusted_network and config.raw_port is not None:
        raise ConfigError(
            "raw-port: %s is not a loopback address, and raw TCP is not encrypted. "
            "Give --trusted-network if nobody on the way to it listens." % config.bind_ip
        )
    for name, port in (("port", config.port), ("raw-port", config.raw_port or 0)):
        if not 0 <= port <= 65535:
            raise ConfigError("%s: %d is not between 0 and 65535" % (name, port))


def _verify_site(config: ReflectorConfig) -> None:
    if config.advertise is not None and not is_advertisable(config.advertise):
        raise ConfigError("advertise: %r is not HOST or HOST:PORT" % config.advertise)
    if not config.shared:
        for name in ("advertise", "site_secret_file"):
            if getattr(config, name) is not None:
                raise ConfigError("%s: other reflectors find this one in a --directory redis:..." % _option(name))
        return
    if config.site_secret_file is None:
        raise ConfigError(
            "site-secret-file: missing; reflectors that share a directory carry connections to each other, "
            "and prove by a common secret who they are. Try: openssl rand -hex 32 > FILE; chmod 600 FILE"
        )
    if config.advertise is None and ipaddress.ip_address(config.bind_ip).is_unspecified:
        raise ConfigError(
            "advertise: missing; with bind-ip %s others cannot know how to reach this reflector" % config.bind_ip
        )


def _verify_combinations(config: ReflectorConfig) -> None:
    """Raises ConfigError if a setting is useless or harmful because another setting is missing."""
    if config.front_door_only and config.accounts is None:
        raise ConfigError("front-door-only: there is no front door without --accounts")
    if config.admins and config.accounts is None:
        raise ConfigError("admins: these are accounts: give --accounts as well")
    if config.accounts is None and set(config.no_forwarding) - {EVERYBODY}:
        raise ConfigError("no-forwarding: these are accounts: give --accounts as well, or --no-forwarding '*'")
    if config.legacy_signatures and config.accounts is None:
        raise ConfigError("legacy-signatures: nothing is signed without --accounts")
    if config.proxy_protocol and not config.trusted_proxy:
        raise ConfigError("proxy-protocol: from nobody; give --trusted-proxy as well")
    for given, missing in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if getattr(config, given) is not None and getattr(config, missing) is None:
            raise ConfigError("%s: missing; --%s does nothing without it" % (_option(missing), _option(given)))


def _option(name: str) -> str:
    return name.replace("_", "-")

"""Checks that the other reflectors of a site can use the address that this reflector advertises."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse

from medusa.directory.redis_url import parse
from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.net.client_address import parse_address

_LOCAL_NAMES = ("localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback")


def check_address(config: ReflectorConfig, address: str) -> None:
    """Raises ConfigError if other reflectors cannot use the address that this reflector advertises.

    Reflectors on other hosts could not reach this reflector at a loopback address. So a loopback address is allowed
    only if the directory is on this host. Then all reflectors may be on this host too.

    Args:
        address: the URL of the reflector's root, as other reflectors would use it.
    """
    if not is_loopback_host(urllib.parse.urlsplit(address).hostname or ""):
        return
    elsewhere = next((host for host, _ in parse(config.directory).hosts if not is_this_machine(host)), None)
    if elsewhere is not None:
        raise ConfigError(
            "advertise: %s is a loopback address, but the directory is on another host, %s: for the reflectors of "
            "other hosts this address is their own. Give --bind-ip and --advertise an address that they can reach"
            % (address, elsewhere)
        )


def is_loopback_host(host: str) -> bool:
    """Returns True if a connection to `host` stays on the host that makes it. Names are not looked up."""
    name = host.rstrip(".").lower()
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        address = parse_address(name)
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(name))  # the system also knows forms such as 127.1
        except (OSError, UnicodeError):
            return False
    return address.is_loopback or address.is_unspecified


def is_this_machine(host: str) -> bool:
    """Returns True if `host` is a name or an address of this machine. Looks names up."""
    if is_loopback_host(host):
        return True
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind(address)
    except OSError:
        return False
    return True

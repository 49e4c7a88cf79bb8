"""The parts of a URL that are needed to connect."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from typing import NamedTuple, Optional, Union

from medusa.transports.dial.errors import ConnectRefused

SECURE = {"https": True, "wss": True, "http": False, "ws": False, "tcp": False}
"""Maps each URL scheme to True if it means TLS, else to False."""

RAW = "tcp"
"""The URL scheme of raw TCP. Raw TCP uses no HTTP."""

IpAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


class Target(NamedTuple):
    """The parts of a URL that are needed to connect.

    Attributes:
        secure: True if the URL asks for TLS.
        host, port: the host and port to connect to.
        netloc: the host and port, byte for byte as in the URL, because a signed URL is compared byte for byte.
        target: the path and query, also byte for byte as in the URL.
    """

    secure: bool
    host: str
    port: int
    netloc: str
    target: str

    @property
    def where(self) -> str:
        """The host and port as one text, with an IPv6 host in brackets."""
        return host_port(self.host, self.port)

    @property
    def certified(self) -> str:
        """The name that the certificate must have: without a dot at its end, and without the zone of an address.

        curl removes both too. A certificate cannot have either of them.
        """
        name = self.host.partition("%")[0] if ":" in self.host else self.host
        return name[:-1] if name.endswith(".") else name


def host_port(host: str, port: int) -> str:
    """Returns the text HOST:PORT, with an IPv6 host in brackets."""
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def ip_address(host: str) -> Optional[IpAddress]:
    """Parses `host` as an IP address, without its zone. Returns None if `host` is a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_raw(url: str) -> bool:
    """Returns True if the scheme of `url` is that of raw TCP."""
    return url.partition("://")[0].lower() == RAW


def parse_url(url: str) -> Target:
    """Parses a ws, wss, http, https or tcp URL.

    Raises:
        ConnectRefused: `url` is not such a URL.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConnectRefused("the URL cannot be read", retryable=False) from None
    netloc = parts.netloc.rpartition("@")[2]
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    if parts.scheme not in SECURE or not host:
        raise ConnectRefused("the URL is not one of ws, wss, http, https or tcp", retryable=False)
    if not _VISIBLE.match(netloc + target):
        words = "the URL holds a space, control or non-ASCII character; an international name begins with xn--"
        raise ConnectRefused(words, retryable=False)
    if parts.scheme == RAW and not port:
        raise ConnectRefused("a tcp:// URL needs a port", retryable=False)
    secure = SECURE[parts.scheme]
    if ":" in host:
        host = host.replace("%25", "%", 1)  # how a URL writes the % before a zone (RFC 6874)
    return Target(secure, host, port or (443 if secure else 80), netloc, target)

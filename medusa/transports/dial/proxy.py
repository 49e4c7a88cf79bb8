"""Finds the proxy that the environment names for a URL, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

The variables have the same meaning as for curl, except that curl reads http_proxy in lower case only. Programs read
NO_PROXY in different ways, so all usual forms work: `*`, networks, ports, a dot or `*.` before a domain, spaces between
entries.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import urllib.parse
from typing import Mapping, NamedTuple, Optional, Union

from medusa.transports.dial.errors import ConnectRefused
from medusa.transports.dial.target import IpAddress, Target, host_port, ip_address

_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]+)\Z")


class Proxy(NamedTuple):
    """An HTTP proxy. `authorization`: the value of the Proxy-Authorization header, or ""."""

    host: str
    port: int
    authorization: str

    @property
    def where(self) -> str:
        """The host and port as one text, with an IPv6 host in brackets."""
        return host_port(self.host, self.port)


def proxy_for(target: Target) -> Optional[Proxy]:
    """Returns the proxy for `target` according to the environment. None if there is none.

    Raises:
        ConnectRefused: the environment names a proxy that cannot be used.
    """
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment  # takes long to import

    proxies: Mapping[str, str] = getproxies_environment()
    kind = "https" if target.secure else "http"
    variable = kind if proxies.get(kind) else "all"
    url = proxies.get(variable)
    if not url or bypassed(target.host, target.port, proxies.get("no", "")):
        return None
    return _parse(url, "%s_PROXY" % variable.upper())


def bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Returns True if `no_proxy`, the value of NO_PROXY, says that `host` is reached without a proxy.

    The entries of `no_proxy` are separated by commas or spaces. An entry is a host; a domain, which also stands for all
    hosts in it; an address; a network such as 10.0.0.0/8; or `*`, which stands for all hosts. Each entry except `*` may
    have a port. Names are only compared, not looked up.
    """
    host = host.lower().rstrip(".")
    address = _address(host)
    return any(_covers(entry, host, port, address) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _covers(entry: str, host: str, port: int, address: Optional[IpAddress]) -> bool:
    if entry == "*":
        return True
    match = None if _network(entry) else _WITH_PORT.match(entry)
    if match:
        if int(match[2]) != port:
            return False
        entry = match[1]
    network = _network(re.sub(r"[][]", "", entry))
    if network or address:
        return bool(network and address) and address in network  # type: ignore[operator]
    name = (entry[1:] if entry.startswith("*.") else entry).strip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _network(text: str) -> Optional[Union[ipaddress.IPv4Network, ipaddress.IPv6Network]]:
    """Parses `text` as a network. An address becomes a network of that one address. Returns None for other text."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> Optional[IpAddress]:
    """Parses `host` as an address; an IPv4-mapped IPv6 address becomes that IPv4 address. None if `host` is a name."""
    address = ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def _parse(url: str, variable: str) -> Proxy:
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else "http://" + url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host = None
    # An @ behind the host means that a character of the password ended it: what counts as the host is a secret.
    if not host or parts.scheme != "http" or "@" in parts.path + parts.query + parts.fragment:
        words = "the proxy in %s is not an http:// URL, as in http://USER:PASSWORD@HOST:PORT" % variable
        raise ConnectRefused(words + "; NO_PROXY names hosts that need no proxy", retryable=False)
    if parts.username is None:
        return Proxy(host, port, "")
    login = "%s:%s" % (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
    return Proxy(host, port, "Basic " + base64.b64encode(login.encode("utf-8", "surrogateescape")).decode("ascii"))

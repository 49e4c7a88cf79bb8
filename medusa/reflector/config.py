"""What can be set in a reflector, with its defaults, checked in one place."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from medusa.directory import is_shared
from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import MAX_LENGTH

CLOSE_TIMEOUT = 5.0
"""Seconds that a side has to answer a Close, or to go, before it is let go of."""

WAIT_PULSE = 2.0
"""Seconds between the `wait` messages to a client without agent: what the original's clients show."""

HEAD_TIMEOUT = 10.0
"""Seconds for a request head to come in whole."""


FOREVER = 10**9
"""Thirty years, in seconds: what an event loop can still wait for."""


_ADVERTISE = re.compile(r"([A-Za-z0-9_.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\Z")


class ConfigError(Exception):
    """A setting that cannot be used; the text names it and says why."""


@dataclass(frozen=True)
class ReflectorConfig:
    """Times are in seconds.

    Attributes:
        directory: a URL, which may hold secrets.
        advertise: HOST or HOST:PORT at which other reflectors reach this one; None for where it listens.
        site_secret_file: path of what all reflectors that share a directory know; None where none is shared.
        archive: path of the agent's archive; None where none was built.
        accounts: directory of the logins' public keys; None for no front door.
        legacy_signatures: take those that cover the Date alone, and rsa-sha1.
        max_url_lifetime: how far ahead a pre-signed URL may expire.
        raw_port: of raw TCP, 0 for a free one; None for no such port.
        allow_origin: in lower case, the web origins whose pages may attach.
        front_door_only: no internal API at all.
        no_status: no list of sessions. Their ids are all that protects those of the internal API from each other.
        admins: accounts that may see and end every session, and read the metrics.
        max_...: 0 for no limit. Addresses of loopback and of trusted proxies are not counted.
        trusted_proxy: addresses and networks whose X-Forwarded-For is believed.
        proxy_protocol: connections from trusted proxies begin with a PROXY header.
        idle_timeout, max_duration: of a linked session; 0 for none.
        write_stall: how long a peer may take nothing of what is written to it; 0 for as long as it likes.
        public_host: in lower case, the values of Host that are this reflector's; empty for any.
        tls_cert, tls_key: paths of PEM files, for https; None for http.
        publish: where to put the archive at start, as `medusa publish` takes it; it may hold secrets. None for nowhere.
    """

    bind_ip: str = "127.0.0.1"
    port: int = 8381
    directory: str = "memory:"
    trusted_network: bool = False
    wait_timeout: float = 600.0
    keepalive: float = 15.0
    drain_timeout: float = 30.0
    max_message: int = MAX_MESSAGE
    archive: str | None = None
    accounts: str | None = None
    legacy_signatures: bool = False
    max_url_lifetime: float = 3600.0
    allow_origin: tuple[str, ...] = ()
    public_host: tuple[str, ...] = ()
    front_door_only: bool = False
    no_status: bool = False
    admins: tuple[str, ...] = ()
    max_sessions: int = 10000
    max_waiting_per_login: int = 200
    max_waiting_per_address: int = 500
    max_connects_per_minute: int = 1200
    trusted_proxy: tuple[str, ...] = ()
    proxy_protocol: bool = False
    write_stall: float = 0.0
    idle_timeout: float = 0.0
    max_duration: float = 0.0
    tls_cert: str | None = None
    tls_key: str | None = None
    publish: str | None = None
    raw_port: int | None = None
    advertise: str | None = None
    site_secret_file: str | None = None

    @property
    def shared(self) -> bool:
        """Whether other reflectors may use the directory."""
        return is_shared(self.directory)

    def address(self, port: int) -> str:
        """What others reach this reflector by, the URL of its root, where it listens on `port`."""
        match = _ADVERTISE.match(self.advertise or _bracketed(self.bind_ip))
        assert match is not None
        return "%s://%s:%s" % ("https" if self.tls_cert else "http", match[1], match[2] or port)

    def verify(self) -> None:
        """Raises ConfigError."""
        self._verify_address()
        self._verify_company()
        self._verify_site()
        for name in _ABOVE_0:
            if not 0 < getattr(self, name) <= FOREVER:
                raise ConfigError("%s: must be above 0 and at most %d seconds" % (_option(name), FOREVER))
        for name in _FROM_0:
            if not 0 <= getattr(self, name) <= FOREVER:
                raise ConfigError("%s: must be between 0 and %d seconds" % (_option(name), FOREVER))
        for name in _COUNTS:
            if getattr(self, name) < 0:
                raise ConfigError("%s: must be 0, for no limit, or more" % _option(name))
        if not 1 <= self.max_message <= MAX_LENGTH:
            raise ConfigError("max-message: must be between 1 and %d bytes" % MAX_LENGTH)

    def _verify_address(self) -> None:
        try:
            address = ipaddress.ip_address(self.bind_ip)
        except ValueError:
            raise ConfigError("bind-ip: %r is not an IP address" % self.bind_ip) from None
        if not address.is_loopback and not self.trusted_network and self.accounts is None:
            raise ConfigError(
                "bind-ip: %s is not a loopback address, and /attach/ asks nobody who they are. "
                "Give --accounts for sessions that are signed for, "
                "or --trusted-network if everyone who can reach it may use it." % self.bind_ip
            )
        if not address.is_loopback and not self.trusted_network and self.raw_port is not None:
            raise ConfigError(
                "raw-port: %s is not a loopback address, and raw TCP is not encrypted. "
                "Give --trusted-network if nobody on the way to it listens." % self.bind_ip
            )
        for name, port in (("port", self.port), ("raw-port", self.raw_port or 0)):
            if not 0 <= port <= 65535:
                raise ConfigError("%s: %d is not between 0 and 65535" % (name, port))

    def _verify_site(self) -> None:
        if self.advertise is not None and not _ADVERTISE.match(self.advertise):
            raise ConfigError("advertise: %r is not HOST or HOST:PORT" % self.advertise)
        if not self.shared:
            return
        if self.site_secret_file is None:
            raise ConfigError(
                "site-secret-file: missing; reflectors that share a directory carry connections to each other, "
                "and prove by a common secret who they are. Try: openssl rand -hex 32 > FILE; chmod 600 FILE"
            )
        if self.advertise is None and ipaddress.ip_address(self.bind_ip).is_unspecified:
            raise ConfigError(
                "advertise: missing; with bind-ip %s others cannot know how to reach this reflector" % self.bind_ip
            )

    def _verify_company(self) -> None:
        """What does nothing, or harm, without another setting."""
        if self.front_door_only and self.accounts is None:
            raise ConfigError("front-door-only: there is no front door without --accounts")
        if self.admins and self.accounts is None:
            raise ConfigError("admins: these are accounts: give --accounts as well")
        if self.proxy_protocol and not self.trusted_proxy:
            raise ConfigError("proxy-protocol: from nobody; give --trusted-proxy as well")
        for given, missing in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
            if getattr(self, given) is not None and getattr(self, missing) is None:
                raise ConfigError("%s: missing; --%s does nothing without it" % (_option(missing), _option(given)))


_ABOVE_0 = ("wait_timeout", "keepalive", "max_url_lifetime")
_FROM_0 = ("drain_timeout", "write_stall", "idle_timeout", "max_duration")
_COUNTS = ("max_sessions", "max_waiting_per_login", "max_waiting_per_address", "max_connects_per_minute")


def _bracketed(ip: str) -> str:
    return "[%s]" % ip if ":" in ip else ip


def _option(name: str) -> str:
    return name.replace("_", "-")

"""The options of a reflector with their defaults, checked; and its fixed times."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from medusa.directory import is_shared
from medusa.directory.base import CONNECTIONS, TIMEOUT, TTL
from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import MAX_LENGTH

FOREVER = 10**9
"""Seconds, thirty years: an event loop can wait for no longer time."""


_ADVERTISE = re.compile(r"([A-Za-z0-9_.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\Z")


class ConfigError(Exception):
    """A setting that cannot be used. The text names the option and says why."""


@dataclass(frozen=True)
class Timeouts:
    """Times that are no options: an operator need not know them, and a test that cannot wait passes others.

    All are in seconds. A TIMEOUT is when to give up, an INTERVAL is how long until the same is done again, a GRACE is
    the time between asking a process to end and killing it.

    Attributes:
        head_timeout: for a request head, or a greeting, to arrive whole.
        answer_timeout: for a peer that accepts nothing of the answer to its request.
        linger_timeout: to go on reading after an answer, so that the peer sees the answer and a FIN, not a reset.
        refusal_delay: from a request that the front door refuses to its answer, whatever the reason: how long the
            decision took must not show.
        refusal_log_rate: lines a minute in the log for what the limits refuse; no time, but as fixed as these.
        wait_interval: between two `wait` messages to a client without an agent: what the original's clients show.
        close_timeout: for a side to answer a Close, or to hang up, before its connection is dropped.
        claim_ttl: after which a claim that nobody renews is free.
        claim_retry_interval: between two tries to reach a directory that is away.
        claim_release_timeout: for the names of the last sessions to be freed when the reflector stops.
        directory_timeout: for a shared directory to accept a connection, and again to answer.
        directory_connections: to a shared directory, at most; a count.
        connect_timeout: for a connection to another reflector, with its TLS.
        forward_answer_timeout: for the owner of a session to answer a forwarded agent; it may have to ask a slow
            directory first.
        query_timeout: for another reflector's whole answer to a question, with the connection to it.
        handoff_timeout: for room in another worker's mailbox; longer than a worker takes to start again.
        status_timeout: for another worker to tell which sessions live in it.
        worker_grace: for drained workers to end.
        worker_finish_timeout: for connections of other workers' sessions to pass on what they still have, when all
            sessions are over.
        publish_retry_interval: from a failure to publish the archive to the next try.
        publish_grace: for the publisher to end.
        drain_log_interval: between two lines in the log while the reflector drains.
        lag_interval: between two measurements of how late the event loop is.
    """

    head_timeout: float = 10.0
    answer_timeout: float = 10.0
    linger_timeout: float = 2.0
    refusal_delay: float = 0.2
    refusal_log_rate: int = 60
    wait_interval: float = 2.0
    close_timeout: float = 5.0
    claim_ttl: float = TTL
    claim_retry_interval: float = 2.0
    claim_release_timeout: float = 3.0
    directory_timeout: float = TIMEOUT
    directory_connections: int = CONNECTIONS
    connect_timeout: float = 3.0
    forward_answer_timeout: float = 10.0
    query_timeout: float = 5.0
    handoff_timeout: float = 5.0
    status_timeout: float = 1.0
    worker_grace: float = 15.0
    worker_finish_timeout: float = 2.0
    publish_retry_interval: float = 5.0
    publish_grace: float = 1.0
    drain_log_interval: float = 5.0
    lag_interval: float = 1.0


@dataclass(frozen=True)
class ReflectorConfig:
    """Times are in seconds.

    Attributes:
        directory: a URL, which may hold secrets.
        advertise: HOST or HOST:PORT at which other reflectors reach this one; None for the address of its sockets.
        site_secret_file: path of the secret that all reflectors sharing a directory have; None if none is shared.
        archive: path of the agent's archive; None where none was built.
        accounts: directory of the logins' public keys; None for no front door.
        legacy_signatures: accept signatures that cover the Date alone, and rsa-sha1.
        max_url_lifetime: how far ahead a pre-signed URL may expire.
        raw_port: of raw TCP, 0 for a free one; None for no such port.
        allow_origin: in lower case, the web origins whose pages may attach.
        front_door_only: no internal API at all.
        no_status: no list of sessions: the sessions of the internal API are protected by their ids alone.
        admins: accounts that may see and end every session, and read the metrics.
        max_...: 0 for no limit. Loopback addresses and those of trusted proxies are not counted.
        trusted_proxy: addresses and networks of proxies whose X-Forwarded-For is believed.
        proxy_protocol: connections from trusted proxies begin with a PROXY header.
        idle_timeout, max_duration: of a linked session; 0 for none.
        write_stall: for how long a peer may accept none of the bytes written to it; 0 for ever.
        public_host: in lower case, the values of Host that name this reflector; empty for any.
        tls_cert, tls_key: paths of PEM files, for https; None for http.
        publish: the URL for `medusa publish`, where the archive is put at the start; it may hold secrets. None for no.
        timeouts: no options; tests pass others.
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
    timeouts: Timeouts = Timeouts()

    @property
    def shared(self) -> bool:
        """True if other reflectors may use the directory."""
        return is_shared(self.directory)

    def address(self, port: int) -> str:
        """The URL of this reflector's root for other reflectors. `port`: where it listens."""
        match = _ADVERTISE.match(self.advertise or _bracketed(self.bind_ip))
        assert match is not None
        return "%s://%s:%s" % ("https" if self.tls_cert else "http", match[1], match[2] or port)

    def verify(self) -> None:
        """Check each setting, and what they mean together. Raises ConfigError."""
        self._verify_address()
        self._verify_combinations()
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

    def _verify_combinations(self) -> None:
        """Settings that do nothing, or harm, without another one."""
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

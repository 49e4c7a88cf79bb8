"""The options of a reflector with their defaults, and what follows from them."""

from __future__ import annotations

from medusa.directory import is_shared
from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.record import field, record, replace
from medusa.reflector.config.advertised import parse_advertised
from medusa.reflector.config.timeouts import Timeouts

HELD_SHARE = 8
"""By default the memory held for the peers of one login is limited to 1 / HELD_SHARE of the limit for all peers."""

MIN_HELD = 1 << 20
"""The lowest value, in bytes, of each limit for the memory held for peers. Ordinary frames never need so much."""


EVERYBODY = "*"
"""Stands for every account, and for sessions without an account, in `no_forwarding`."""


@record
class ReflectorConfig:
    """The options of one reflector. All times are in seconds.

    Attributes:
        bind_ip: the IP address to listen on.
        port: the port for HTTP; 0 for any free port.
        directory: the URL of the session directory. It may contain secrets.
        trusted_network: if True, a `bind_ip` that is no loopback address is allowed without `accounts`.
        wait_timeout: how long a client waits for an agent.
        keepalive: how long a peer may be silent before the reflector sends it a ping.
        drain_timeout: how long sessions may go on after SIGTERM.
        max_message: the largest message that is accepted, in bytes.
        archive: the path of the agent's archive; None if it was not built.
        accounts: the path of the folder with the public keys of the accounts; None to serve no signed requests to
            attach.
        legacy_signatures: also accept signatures that cover the Date header alone, and signatures by rsa-sha1.
        max_url_lifetime: the longest time for which a pre-signed URL may be valid.
        raw_port: the port for raw TCP; 0 for any free port, None for no raw TCP.
        allow_origin: the web origins, in lower case, whose pages may attach.
        front_door_only: serve only signed requests: no /attach/ and no /status.
        no_status: serve no /status. Its list shows the session ids, and an id is all that /attach/ asks for.
        admins: the accounts that may see and end every session, and read the metrics.
        max_sessions, max_waiting_per_login, max_waiting_per_address, max_connects_per_minute: limits; 0: no limit.
            Loopback addresses and addresses of trusted proxies are not counted.
        max_legs: the most pairs of a client and an agent in one session; 0 for no limit. The pair that opened the
            session counts.
        max_sessions_per_login, max_sessions_per_address: limits as well; None for half of `max_sessions`.
        max_startups: (start, rate, full), a limit for connections whose peers have not identified themselves. If there
            are `start` such connections, `rate` percent of the new ones are dropped. If there are `full`, all new ones
            are dropped. If `full` is 0, there is no limit.
        per_source_max_startups: the maximum number of such connections from one address; 0 for no limit.
        no_forwarding: the accounts whose agents may forward no connections; EVERYBODY stands for all sessions.
        metrics_from: addresses and networks of the monitoring systems that may read the metrics without a signature.
        trusted_proxy: addresses and networks of the proxies whose X-Forwarded-For header is believed.
        proxy_protocol: each connection from a trusted proxy begins with a PROXY header.
        idle_timeout: how long a linked session may be idle; 0 for no limit. See `TimeLimits`.
        max_duration: how long a linked session may last; 0 for no limit.
        max_held: the most bytes that this process may hold for all peers: unfinished messages, and bytes that a peer
            does not read. 0 for no limit. See `held_in_all`.
        max_held_per_login: the most such bytes for the peers of one login, or for one address without a login; None for
            an eighth of `held_in_all`.
        message_timeout: how long a message that has begun may take; 0 for no limit. See Deadlines, which gives large
            messages more time.
        write_stall: how long a peer may accept none of the bytes written to it; 0 for no limit.
        public_host: the values of the Host header, in lower case, that name this reflector; empty for any value.
        tls_cert, tls_key: the paths of PEM files; None for http instead of https.
        publish: the URL to which the archive is published at the start (see `medusa publish`); None for nowhere.
            It may contain secrets.
        advertise: HOST or HOST:PORT at which other reflectors reach this one; None for the address it listens on.
        site_secret_file: the path of the secret that all reflectors with the same directory share; None if the
            directory is not shared.
        state_dir: the path of the directory for what outlives the process: the key of the tickets, and which sessions
            are over. None: a restart makes all tickets void if the directory is not shared.
        max_hold: the longest time for which a session is kept while its agent is away; 0 for no limit.
        max_held_sessions: the most sessions of this process that agents hold; 0 for no limit. Such a session stays
            open without a client, and while its agent is away.
        max_held_sessions_per_login: the most such sessions of one login; None for half of `max_held_sessions`.
        timeouts: the other times, which have no command line option.
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
    no_forwarding: tuple[str, ...] = ()
    max_sessions: int = 10000
    max_sessions_per_login: int | None = None
    max_sessions_per_address: int | None = None
    max_waiting_per_login: int = 200
    max_waiting_per_address: int = 500
    max_connects_per_minute: int = 1200
    max_legs: int = 16
    max_startups: tuple[int, int, int] = (500, 30, 2000)
    per_source_max_startups: int = 200
    metrics_from: tuple[str, ...] = ()
    trusted_proxy: tuple[str, ...] = ()
    proxy_protocol: bool = False
    max_held: int = 256 << 20
    max_held_per_login: int | None = None
    message_timeout: float = 60.0
    write_stall: float = 0.0
    idle_timeout: float = 0.0
    max_duration: float = 0.0
    tls_cert: str | None = None
    tls_key: str | None = None
    publish: str | None = None
    raw_port: int | None = None
    advertise: str | None = None
    site_secret_file: str | None = None
    state_dir: str | None = None
    max_hold: float = 86400.0
    max_held_sessions: int = 10000
    max_held_sessions_per_login: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def shared(self) -> bool:
        """True if other reflectors may use the same directory."""
        return is_shared(self.directory)

    @property
    def sessions_per_login(self) -> int:
        """The maximum number of sessions of one login; 0 for no limit."""
        return self._share_of_sessions(self.max_sessions_per_login)

    @property
    def sessions_per_address(self) -> int:
        """The maximum number of sessions without a login whose clients have the same address; 0 for no limit."""
        return self._share_of_sessions(self.max_sessions_per_address)

    def _share_of_sessions(self, given: int | None) -> int:
        return (self.max_sessions + 1) // 2 if given is None else given

    @property
    def held_sessions_per_login(self) -> int:
        """The maximum number of sessions of one login that agents may hold; 0 for no limit.

        An agent that holds its session keeps it open while there is no client.
        """
        most = self.max_held_sessions_per_login
        return (self.max_held_sessions + 1) // 2 if most is None else most

    @property
    def held_in_all(self) -> int:
        """The most bytes that this process may hold in memory for all peers; 0 for no limit.

        It is enough for two messages, even if `max_held` is smaller.
        """
        return self.max_held and max(self.max_held, 2 * max(self.max_message, MIN_HELD))

    @property
    def held_per_login(self) -> int:
        """The most bytes that this process may hold in memory for one login; 0 for no limit.

        It is enough for one message, even if `max_held_per_login` is smaller.
        """
        most = self.held_in_all // HELD_SHARE if self.max_held_per_login is None else self.max_held_per_login
        return most and max(most, self.max_message, MIN_HELD)

    def share(self, workers: int) -> ReflectorConfig:
        """Returns the options for each of `workers` worker processes.

        Some limits, such as the limit of memory, are divided by the number of workers.
        """
        start, rate, full = self.max_startups
        return replace(
            self,
            max_held=self.max_held and max(1, self.max_held // workers),
            max_held_per_login=self.max_held_per_login and max(1, self.max_held_per_login // workers),
            max_startups=(_share(start, workers), rate, _share(full, workers)),
            per_source_max_startups=_share(self.per_source_max_startups, workers),
        )

    def address(self, port: int) -> str:
        """Returns the URL at which other reflectors reach this one. `port`: the port that it listens on."""
        host, given = parse_advertised(self.advertise or self.bind_ip)
        return "%s://%s:%s" % ("https" if self.tls_cert else "http", host, given or port)

    def forbids_forwarding(self, login: str) -> bool:
        """Returns True if the agents of `login` may forward no connections; "" for sessions without an account."""
        return EVERYBODY in self.no_forwarding or login in self.no_forwarding


def _share(number: int, workers: int) -> int:
    return -(-number // workers)

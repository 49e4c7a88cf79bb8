"""Drops new connections while too many peers have not identified themselves.

Dropped connections are counted, and some are logged: the number of log lines is limited.

A peer that is dropped gets a short refusal. It gets none if its connection needs TLS, or if the connection does not
accept the bytes at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from medusa.protocol.errors import HandshakeError
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.fronts.startups import FROM_SOURCE, IN_ALL, NO_ROOM, RETRY_AFTER, Dropped, Startup, Startups
from medusa.reflector.metrics import Metrics
from medusa.reflector.net import fd_limit
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import site, source_of
from medusa.reflector.relay.budget import Budget
from medusa.transports.tls import RECORD

log = structlog.get_logger(component="doors")

WORDS = {
    IN_ALL: "too many connections have not identified themselves (--max-startups)",
    FROM_SOURCE: "too many connections from this address have not identified themselves (--per-source-max-startups)",
    NO_ROOM: "only the reserve of descriptors is left (ulimit -n)",
}


class Doorkeeper:
    """Drops new connections of one process while too many peers have not identified themselves.

    Counts the connections of such peers over HTTP and raw TCP together.

    `budget`: counts the memory that peers make this process hold.
    """

    def __init__(self, config: ReflectorConfig, metrics: Metrics, refusals: RefusalLog, budget: Budget) -> None:
        self._config = config
        self._metrics = metrics
        self._refusals = refusals
        self._startups = Startups(config)
        self._budget = budget
        metrics.connections["startup"] = self._startups.__len__

    def admit(self, sock: Any, address: tuple[Any, ...], refusal: bytes = b"") -> Startup | None:
        """Counts a connection that was just accepted, or drops it. Never blocks.

        Returns the Startup that counts the connection, or None if the connection was dropped and closed.

        Args:
            sock: gevent's socket.
            address: the peer's address.
            refusal: the bytes to send to a peer that is dropped.
        """
        try:
            return self._enter(address[0], early=True)
        except Dropped as dropped:
            self.drop(dropped, sock, address[0], refusal)
            return None

    def take_over(self, accepted: Accepted, refusal: bytes = b"") -> bool:
        """Counts a connection that another worker has handed over. Returns False if it was dropped and closed.

        Does not drop the connection at random (see Startups), because the other worker has already decided this.
        """
        try:
            if accepted.sock.fileno() >= fd_limit.first_reserved():
                raise Dropped(NO_ROOM)
            accepted.startup = self._enter(accepted.address[0], early=False)
        except Dropped as dropped:
            self.drop(dropped, accepted.sock, accepted.host, refusal)
            return False
        return True

    def _enter(self, host: str, *, early: bool) -> Startup:
        startup = self._startups.enter(source_of(host, self._config), fd_limit.startups_allowed(), early=early)
        startup.share = self._budget.share(address=site(host))
        return startup

    def name_client(self, accepted: Accepted) -> None:
        """Counts a connection under its client's address from now on. Call this when a proxy has named the client.

        Until now the connection was counted under the address of the proxy. Raises Dropped if there are too many
        connections from the client's address.
        """
        if accepted.startup is not None:
            share = self._budget.share(address=site(accepted.host))
            accepted.startup.move(source_of(accepted.host, self._config), share)

    def drop(self, dropped: Dropped, sock: Any, host: str, refusal: bytes = b"") -> None:
        """Counts, logs and closes a connection. First sends the peer `refusal` if the kernel accepts it at once.

        `dropped`: the reason. `host`: the peer's address.
        """
        self.note(dropped, host)
        with contextlib.suppress(OSError):
            sock.settimeout(0.0)
            if refusal:
                sock.send(refusal)
                sock.recv(RECORD)  # otherwise the kernel would reset the connection, and the refusal could be lost
        sock.close()

    def note(self, dropped: Dropped, host: str) -> None:
        """Counts and logs a connection that is dropped or refused.

        `dropped`: the reason. `host`: the peer's address.
        """
        self._metrics.dropped(dropped.why)
        more = self._refusals.fields("dropped", host)
        if more is not None:
            log.info("connection dropped", client=host, reason=WORDS[dropped.why], **more)


def wait_for_turn(admit: Callable[[], None]) -> None:
    """Calls `admit`, which waits until the event loop has time for the request.

    Raises HandshakeError (503) if the time limit for the head or greeting ends this wait: the peer has not been slow.
    """
    try:
        admit()
    except HandshakeError:
        words = "the reflector is too busy to read this request now"
        raise HandshakeError(503, words, (("Retry-After", str(RETRY_AFTER)),)) from None

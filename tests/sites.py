"""Several reflectors that share a directory on a real Redis."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests import redisservers, reflectors
from tests.peers import LINKUP, TEXT, Peer
from tests.redisservers import RedisServer
from tests.reflectors import Reflector
from tests.waiting import PATIENCE, wait_until

SECRET = "of the reflectors of a test's site"

LONG = {"directory_timeout": 20.0}
"""So that no reflector takes a Redis on a busy machine for one that is away."""

QUICK = {
    **LONG,
    "claim_ttl": 5.0,  # longer than a reflector stands still on a busy machine, or it loses its lease
    "claim_retry_interval": 0.1,
    "connect_timeout": 1.0,
    "forward_answer_timeout": 2.0,
}
"""Shorter than by default, where a test would take a minute."""


class Site:
    """A directory, and what a reflector needs to share it."""

    def __init__(self, redis: RedisServer, secret_file: Path) -> None:
        self.redis = redis
        self.secret_file = secret_file

    def options(self) -> list[str]:
        return ["--directory", self.redis.url, "--site-secret-file", str(self.secret_file)]

    def reflector(
        self, *arguments: str, timeouts: Mapping[str, float] = {}, check: bool = True
    ) -> contextlib.AbstractContextManager[Reflector]:
        return reflectors.running(*self.options(), *arguments, timeouts=timeouts, check=check)

    def claimed(self, session: str) -> bool:
        """Whether a reflector holds a session of the internal API."""
        return bool(self.redis.ask("EXISTS", _key(session)))

    def expire(self, session: str) -> None:
        """Lets the time of the claim on such a session be over."""
        assert self.redis.ask("PEXPIRE", _key(session), 0)


def _key(session: str) -> str:
    return f"medusa:session:{session}"


def dial(port: int) -> socket.socket:
    """A connection to a port of this host."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def kill(reflector: Reflector) -> None:
    """By SIGKILL."""
    reflector.process.kill()
    reflector.process.wait()


@contextlib.contextmanager
def site(path: Path) -> Iterator[Site]:
    secret_file = path / "secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(SECRET)
    with redisservers.running(redisservers.on_port(path)) as redis:
        yield Site(redis, secret_file)


def waits(owner: Reflector, session: str) -> None:
    """Returns when a client waits there."""
    wait_until(lambda: owner.states().get(session) == "slave_wait", "a client that waits")


@contextlib.contextmanager
def pair(owner: Reflector, other: Reflector, session: str = "") -> Iterator[tuple[Peer, Peer]]:
    """A client and an agent that are linked: one is connected to `owner`, the other to `other`."""
    session = session or reflectors.new_id()
    with owner.attach(session, "master") as client:
        waits(owner, session)
        with other.attach(session, "slave") as agent:
            linked(client, agent)
            yield client, agent


def linked(client: Peer, agent: Peer) -> None:
    """Reads up to the linkup on both sides."""
    client.linked()
    agent.expect(TEXT, LINKUP)

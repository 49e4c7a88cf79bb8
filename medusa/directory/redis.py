"""The directory that several reflectors share, in Redis.

A claim is a key of Redis that expires. The key's value is the claim's token and its owner's address. Redis runs the
scripts below; each compares the value before it changes the key.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis import cluster, sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from medusa.directory.base import (
    CONNECTIONS,
    TIMEOUT,
    TTL,
    Claim,
    Directory,
    DirectoryError,
    Owner,
    SessionExists,
    StaleClaim,
)
from medusa.directory.redis_url import RedisUrl, parse

PREFIX = "medusa:"

LIST_TIMEOUT = 5.0
"""Seconds after which `entries` ends its search: the store may hold many other keys."""

_BATCH = 1000
"""The number of keys that one command reads."""

# Some versions of redis-py have no type hints for these classes.
_ClusterNode: Any = cluster.ClusterNode
_Sentinel: Any = sentinel.Sentinel

# A script runs a second time if its first answer was lost. So it also succeeds if the key already has the new value.
_CLAIM = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
_INHERIT = """
local held = redis.call('GET', KEYS[1])
if held ~= ARGV[1] and held ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class RedisDirectory(Directory):
    """A directory in Redis. It connects at the first question.

    Args:
        url: the address of the store, see medusa.directory.redis_url.
        timeout: seconds for a server to accept a connection, and as many again to answer a question.
        connections: the maximum number of connections. If all are busy, a question waits up to `timeout` seconds
            for one.

    Raises:
        DirectoryError: `url` is malformed.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT, connections: int = CONNECTIONS) -> None:
        self._timeout = timeout
        self._connections = connections
        self._url = parse(url)
        self._prefix = self._url.options.get("prefix", PREFIX)
        self._clients: list[Any] = []  # commands go to the first client
        self._connecting = threading.Lock()
        self._free = threading.BoundedSemaphore(connections)

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """See Directory."""
        claim = Claim(session_id, owner, secrets.token_hex(16))
        held = self._run(_CLAIM, self._key(session_id), _value(claim), _ms(ttl))
        if held is not None:
            raise SessionExists(_claim(session_id, held))
        return claim

    def inherit(self, old: Claim, ttl: float = TTL) -> Claim:
        """See Directory."""
        claim = Claim(old.session_id, old.owner, secrets.token_hex(16))
        if not self._run(_INHERIT, self._key(old.session_id), _value(claim), _ms(ttl), _value(old)):
            raise StaleClaim
        return claim

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """See Directory."""
        if not self._run(_RENEW, self._key(claim.session_id), _value(claim), _ms(ttl)):
            raise StaleClaim

    def release(self, claim: Claim) -> None:
        """See Directory."""
        self._run(_RELEASE, self._key(claim.session_id), _value(claim))

    def lookup(self, session_id: str) -> Owner | None:
        """See Directory."""
        with self._client() as client:
            value = client.get(self._key(session_id))
        return None if value is None else _claim(session_id, value).owner

    def entries(self, limit: int) -> dict[str, Owner]:
        """See Directory. If the store has very many other keys, the result may lack claims: see LIST_TIMEOUT."""
        found: dict[str, Owner] = {}
        deadline = time.monotonic() + LIST_TIMEOUT
        prefix = self._key("")
        with self._client() as client:
            keys = client.scan_iter(match=_literal(prefix) + b"*", count=_BATCH)
            for batch in _batches(keys, lambda: len(found) < limit and time.monotonic() < deadline):
                get = client.mget_nonatomic if self._url.kind == "cluster" else client.mget
                for key, value in zip(batch, get(batch), strict=True):
                    if value is not None and len(found) < limit:
                        session_id = key[len(prefix) :].decode(errors="replace")
                        found[session_id] = _claim(session_id, value).owner
        return found

    def spend(self, mark: str, ttl: float) -> bool:
        """See Directory."""
        return self._run(_CLAIM, self._mark(mark), secrets.token_bytes(16), _ms(ttl)) is None

    def give_back(self, mark: str) -> None:
        """See Directory."""
        with self._client() as client:
            client.delete(self._mark(mark))

    def close(self) -> None:
        """See Directory. Only one thread may call this method."""
        deadline = time.monotonic() + 2 * self._timeout
        held = 0
        try:
            while held < self._connections and self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
                held += 1
            with self._connecting:
                clients, self._clients = self._clients, []
            # redis-py fails in odd ways if a connection is closed while a thread reads from it.
            if held == self._connections:
                for client in clients:
                    client.close()
        finally:
            for _ in range(held):
                self._free.release()

    def _key(self, session_id: str) -> bytes:
        return (self._prefix + "session:" + session_id).encode()

    def _mark(self, mark: str) -> bytes:
        return (self._prefix + "used:" + mark).encode()

    def _run(self, script: str, key: bytes, *arguments: bytes | int) -> Any:
        with self._client() as client:
            return client.eval(script, 1, key, *arguments)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        if not self._free.acquire(timeout=self._timeout):
            raise self._error("all of %d connections wait for an answer" % self._connections)
        try:
            with self._connecting:
                self._clients = self._clients or _connect(self._url, self._timeout)
                client = self._clients[0]
            yield client
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise self._error(str(error) or type(error).__name__) from None
        finally:
            self._free.release()

    def _error(self, text: str) -> DirectoryError:
        return DirectoryError("%s: %s" % (self._url.where, text))


def _connect(url: RedisUrl, timeout: float) -> list[Any]:
    """Returns the client for commands, followed by the clients that it uses itself: those of the Sentinels.

    The client of a Cluster connects now. The others connect at their first command.
    """
    options: dict[str, Any] = {
        "username": url.user,
        "password": url.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # Retry if a connection has broken since its last use. Do not retry if the server is silent.
        "retry": Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        "protocol": 2,  # every server supports RESP 2
    }
    if url.secure:
        options["ssl"] = True
        options |= {name: value for name, value in url.options.items() if name.startswith("ssl_")}
    if url.kind == "cluster":
        nodes = [_ClusterNode(*host) for host in url.hosts]
        return [redis.RedisCluster(startup_nodes=nodes, **options)]
    options["db"] = url.database
    if url.kind == "unix":
        return [redis.Redis(unix_socket_path=url.path, **options)]
    if url.kind == "sentinel":
        sentinels = {name: value for name, value in options.items() if name not in ("username", "password", "db")}
        sentinels["password"] = url.options.get("sentinel_password")
        guide = _Sentinel(url.hosts, sentinel_kwargs=sentinels)
        return [guide.master_for(url.service, **options), *guide.sentinels]
    (host,) = url.hosts
    return [redis.Redis(*host, **options)]


def _batches(keys: Iterator[bytes], go_on: Callable[[], bool]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for key in keys:
        batch.append(key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
        if not go_on():
            break
    if batch:
        yield batch


def _value(claim: Claim) -> bytes:
    return ("%s %s" % (claim.token, claim.owner.address)).encode()


def _claim(session_id: str, value: bytes) -> Claim:
    token, space, address = value.decode(errors="replace").partition(" ")
    if not space:
        raise DirectoryError("a key of this prefix holds something else than a claim")
    return Claim(session_id, Owner(address), token)


def _ms(seconds: float) -> int:
    return max(1, round(1000 * seconds))


def _literal(text: bytes) -> bytes:
    r"""Returns a pattern for SCAN that matches exactly `text`."""
    return re.sub(rb"([\\*?\[\]^])", rb"\\\1", text)

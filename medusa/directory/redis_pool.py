"""Connections to Redis: to one server, to a master that Sentinels name, or to a Cluster.

The errors of the package redis-py are turned into DirectoryError.
"""

from __future__ import annotations

import inspect
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis import cluster, sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from medusa.directory.base import BrokenEntry, DirectoryError
from medusa.directory.redis_url import RedisUrl

_WRONG_TYPE = "WRONGTYPE"
"""The word in the error of Redis for a command that does not fit the type of a key's value, such as GET for a list."""

# Some versions of redis-py have no type hints for these classes.
_ClusterNode: Any = cluster.ClusterNode
_Sentinel: Any = sentinel.Sentinel


class RedisPool:
    """A limited number of connections to the Redis at `url`. It connects when `client` is used for the first time.

    Args:
        timeout: seconds for a server to accept a connection, and as many again to answer a command.
        connections: the maximum number of connections. If all are busy, `client` waits up to `timeout` seconds for
            one of them.
    """

    def __init__(self, url: RedisUrl, timeout: float, connections: int) -> None:
        self.url = url
        self._timeout = timeout
        self._connections = connections
        self._clients: list[Any] = []  # commands go to the first client
        self._connecting = threading.Lock()
        self._free = threading.BoundedSemaphore(connections)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Context manager: lends a client of redis-py for the commands in the `with` block.

        Raises:
            BrokenEntry: the command does not fit the type of a key's value, so another program has written the key.
            DirectoryError: all connections are busy, or Redis does not answer, or answers with another error.
        """
        if not self._free.acquire(timeout=self._timeout):
            raise self._error("all of %d connections wait for an answer" % self._connections)
        try:
            with self._connecting:
                self._clients = self._clients or _connect(self.url, self._timeout)
                client = self._clients[0]
            yield client
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            if is_wrong_type(error):
                raise BrokenEntry("it is of another type than a reflector writes") from None
            raise self._error(str(error) or type(error).__name__) from None
        finally:
            self._free.release()

    def close(self) -> None:
        """Closes all connections. First waits some seconds for pending answers. Only one thread may call it."""
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

    def _error(self, text: str) -> DirectoryError:
        return DirectoryError("%s: %s" % (self.url.where, text))


_VERIFY_ALIKE = (
    {"ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT], "ssl_include_verify_flags": [ssl.VERIFY_X509_PARTIAL_CHAIN]}
    if "ssl_exclude_verify_flags" in inspect.signature(redis.SSLConnection.__init__).parameters
    else {}
)
"""Options of redis-py for the verification of a server's certificate.

With them, Python 3.13 accepts the same certificates as older versions; see also medusa/transports/tls/context.py.
redis-py before 6.3 has no such options.
"""


def is_wrong_type(error: object) -> bool:
    """Returns True if `error` says that the command does not fit the type of a key's value."""
    return isinstance(error, redis.ResponseError) and _WRONG_TYPE in str(error)


def _connect(url: RedisUrl, timeout: float) -> list[Any]:
    """Returns a list of clients of redis-py. The first is for commands. The others, if any, ask the Sentinels.

    The client of a Cluster connects now. All other clients connect at their first command.
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
        options |= {"ssl": True, **_VERIFY_ALIKE}
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

"""The directory: it says which reflector owns which session. Each kind of store has a file of its own.

A site is a group of reflectors that share one directory.

base           the interface, its records and its exceptions
memory         the store for a single process
redis          the store that several reflectors share, in Redis
redis_commands  what it sends to Redis
redis_url      URLs of Redis: one server, a unix socket, Sentinels, a Cluster
redis_pool     connections to a Redis, and its errors
seal           proves by a MAC that a reflector of the site has written an entry
tokens         makes and reads the tokens of claims
timed          a directory that reports how long each call of another directory takes
"""

from __future__ import annotations

from medusa.directory.base import (
    CONNECTIONS,
    TIMEOUT,
    BrokenEntry,
    Claim,
    Directory,
    DirectoryError,
    Mark,
    Owner,
    SessionExists,
    StaleClaim,
)
from medusa.directory.memory import MemoryDirectory

__all__ = [
    "MEMORY",
    "BrokenEntry",
    "Claim",
    "Directory",
    "DirectoryError",
    "Mark",
    "Owner",
    "SessionExists",
    "StaleClaim",
    "is_shared",
    "open_directory",
]

MEMORY = "memory:"


def is_shared(url: str) -> bool:
    """True if several processes can share the directory that `url` names."""
    return url.partition(":")[0].partition("+")[0] in ("redis", "rediss")


def open_directory(
    url: str, timeout: float = TIMEOUT, connections: int = CONNECTIONS, secret: bytes = b""
) -> Directory:
    """Returns the directory that `url` names. The directory connects to its store when one of its methods is called.

    Args:
        timeout: seconds for a shared store to accept a connection, and as many again to answer a request.
        connections: the maximum number of connections to a shared store.
        secret: the secret of all reflectors that share the store. An entry that was written without this secret counts
            as broken (see BrokenEntry).

    Raises:
        DirectoryError: `url` names an unknown kind of store, or is malformed.
    """
    if url == MEMORY:
        return MemoryDirectory()
    if is_shared(url):
        from medusa.directory.redis import RedisDirectory  # slow to load

        return RedisDirectory(url, timeout, connections, secret)
    raise DirectoryError("unknown directory %r: memory:, redis: and rediss: are known" % url.partition(":")[0])

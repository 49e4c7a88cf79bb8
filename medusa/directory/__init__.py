"""Which reflector owns which session: one interface, and one file for each store.

base       the interface, and what it raises
memory     the store of a single process
redis      the store that several reflectors share
redis_url  URLs of Redis: one server, a unix socket, Sentinels, a Cluster
timed      a directory that reports how long each question takes
"""

from __future__ import annotations

from medusa.directory.base import (
    CONNECTIONS,
    TIMEOUT,
    Claim,
    Directory,
    DirectoryError,
    Owner,
    SessionExists,
    StaleClaim,
)
from medusa.directory.memory import MemoryDirectory

__all__ = [
    "MEMORY",
    "Claim",
    "Directory",
    "DirectoryError",
    "Owner",
    "SessionExists",
    "StaleClaim",
    "is_shared",
    "open_directory",
]

MEMORY = "memory:"


def is_shared(url: str) -> bool:
    """Whether several processes can use the directory that `url` names."""
    return url.partition(":")[0].partition("+")[0] in ("redis", "rediss")


def open_directory(url: str, timeout: float = TIMEOUT, connections: int = CONNECTIONS) -> Directory:
    """The directory that `url` names; nothing connects yet.

    Args:
        timeout: seconds for a shared store to accept a connection, and again to answer.
        connections: to a shared store, at most.

    Raises:
        DirectoryError: no store of that kind is known, or the URL is not of the form that it takes.
    """
    if url == MEMORY:
        return MemoryDirectory()
    if is_shared(url):
        from medusa.directory.redis import RedisDirectory  # slow to load

        return RedisDirectory(url, timeout, connections)
    raise DirectoryError("unknown directory %r: memory:, redis: and rediss: are known" % url.partition(":")[0])

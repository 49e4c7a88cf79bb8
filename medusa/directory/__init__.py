"""Who owns which session: one interface, one file per store."""

from __future__ import annotations

from medusa.directory.base import Claim, Directory, DirectoryError, Owner, SessionExists, StaleClaim
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
    """Whether several processes may use the directory that `url` names."""
    return url.partition(":")[0].partition("+")[0] in ("redis", "rediss")


def open_directory(url: str) -> Directory:
    """The directory that `url` names; nobody is connected to yet.

    Raises:
        DirectoryError: no store of that kind is known, or the URL is not of the form that it takes.
    """
    if url == MEMORY:
        return MemoryDirectory()
    if is_shared(url):
        from medusa.directory.redis import RedisDirectory  # slow to load

        return RedisDirectory(url)
    raise DirectoryError("unknown directory %r: memory:, redis: and rediss: are known" % url.partition(":")[0])

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
    "open_directory",
]

MEMORY = "memory:"


def open_directory(url: str) -> Directory:
    """The directory that `url` names; nobody is connected to yet.

    Raises:
        DirectoryError: no store of that kind is known, or the URL is not of the form that it takes.
    """
    if url == MEMORY:
        return MemoryDirectory()
    scheme = url.partition(":")[0]
    if scheme.partition("+")[0] in ("redis", "rediss"):
        from medusa.directory.redis import RedisDirectory  # slow to load

        return RedisDirectory(url)
    raise DirectoryError("unknown directory %r: memory:, redis: and rediss: are known" % scheme)

"""Who owns which session: one interface, one file per store."""

from __future__ import annotations

from medusa.directory.base import Claim, Directory, DirectoryError, Owner, SessionExists, StaleClaim
from medusa.directory.memory import MemoryDirectory

__all__ = ["Claim", "Directory", "DirectoryError", "Owner", "SessionExists", "StaleClaim", "open_directory"]


def open_directory(url: str) -> Directory:
    """The directory that `url` names.

    Raises:
        DirectoryError: no store of that kind is known.
    """
    if url == "memory:":
        return MemoryDirectory()
    raise DirectoryError("unknown directory %r: this version knows memory: only" % url.partition(":")[0])

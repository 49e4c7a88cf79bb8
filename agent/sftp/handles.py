"""The files and directories that the client of the SFTP server has open."""

from __future__ import annotations

import errno
import os
import stat
from itertools import chain
from typing import Any, Dict, Iterator, NamedTuple

MAX_HANDLES = 1000
"""The most files and directories that a client has open. The limit of descriptors of the process may be lower."""


class Handle(NamedTuple):
    """A file or a directory that is open.

    Attributes:
        fd: the descriptor of a file; -1 for a directory.
        appends: True if all that is written goes to the end of the file.
        path: the path of a directory.
        entries: what scandir(3) has opened for a directory; None for a file.
        names: the names in a directory that were not listed yet.
    """

    fd: int = -1
    appends: bool = False
    path: bytes = b""
    entries: Any = None
    names: Iterator[bytes] = iter(())


class Handles:
    """All files and directories that are open, by the numbers that the client knows them by."""

    def __init__(self) -> None:
        self._open: Dict[bytes, Handle] = {}
        self._last = 0

    def open_file(self, path: bytes, flags: int, mode: int) -> bytes:
        """Opens a file and returns its handle. Raises OSError.

        Args:
            flags: those of open(2).
            mode: the permissions of the file, if it is created.
        """
        self._check()
        fd = os.open(path, flags | os.O_NOCTTY, mode)
        try:
            _check_memory(fd)
        except OSError:
            os.close(fd)
            raise
        return self._add(Handle(fd, bool(flags & os.O_APPEND)))

    def open_directory(self, path: bytes) -> bytes:
        """Opens a directory and returns its handle. Raises OSError."""
        self._check()
        entries = os.scandir(path)
        names = chain((b".", b".."), (item.name for item in entries))
        return self._add(Handle(path=path, entries=entries, names=names))

    def file(self, handle: bytes) -> Handle:
        """Returns a file that is open. Raises OSError if there is no such file."""
        found = self._open.get(handle)
        if found is None or found.fd < 0:
            raise OSError(errno.EBADF, "no such file is open")
        return found

    def directory(self, handle: bytes) -> Handle:
        """Returns a directory that is open. Raises OSError if there is no such directory."""
        found = self._open.get(handle)
        if found is None or found.entries is None:
            raise OSError(errno.EBADF, "no such directory is open")
        return found

    def close(self, handle: bytes) -> None:
        """Closes a file or directory. Raises OSError if there is no such one, or if the last bytes were not written."""
        found = self._open.pop(handle, None)
        if found is None:
            raise OSError(errno.EBADF, "nothing such is open")
        if found.fd >= 0:
            os.close(found.fd)
        else:
            found.entries.close()

    def _check(self) -> None:
        if len(self._open) >= MAX_HANDLES:
            raise OSError(errno.EMFILE, "%d files and directories are open" % MAX_HANDLES)

    def _add(self, handle: Handle) -> bytes:
        self._last += 1
        name = b"%x" % self._last
        self._open[name] = handle
        return name


def _check_memory(fd: int) -> None:
    """Raises PermissionError if the file is the memory of a process.

    This process is a copy of the agent, whose memory other processes of the user cannot read.
    """
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        try:
            path = os.readlink("/proc/self/fd/%d" % fd)
        except OSError:
            return
        if path.endswith("/mem") and path.split("/")[-2].isdigit():
            raise PermissionError(errno.EACCES, "this is the memory of a process")

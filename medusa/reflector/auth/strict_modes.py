"""Finds out whether another user of this host could replace a file. Also checks all directories in the file's path.

The option StrictModes of sshd does the same.

Symbolic links are followed one by one, so the directories that contain the links are checked as well.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Collection

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MAX_LINKS = 40
"""The maximum number of symbolic links in one path. The kernel of Linux has the same limit."""


def trusted_owners(directory: str) -> frozenset[int]:
    """Returns the user ids that may own files of keys: root, this process's user, and the owner of `directory`.

    Raises OSError.
    """
    return frozenset((0, os.geteuid(), os.stat(directory).st_uid))


def weakness(path: str, owners: Collection[int]) -> str:
    """Returns the reason why a user other than `owners` could replace or change the file `path`; "" if none could.

    `owners` are the ids of trusted users. A directory with the sticky bit, such as /tmp, may be writable for other
    users: they cannot replace a file in it that belongs to one of `owners`.

    Raises OSError if a part of the path does not exist or cannot be read.
    """
    for entry, found in _way(path):
        if found.st_uid not in owners:
            return f"{entry} belongs to another user (uid {found.st_uid})"
        sticky = found.st_mode & stat.S_ISVTX and stat.S_ISDIR(found.st_mode)
        if found.st_mode & _OTHERS_WRITE and not sticky and not stat.S_ISLNK(found.st_mode):
            return f"others than its owner can write {entry}: chmod go-w"
    return ""


Snapshot = tuple[tuple[str, tuple[int, ...]], ...]
"""What decides who can replace or change a file: each directory and link on the way to it, and the file itself."""

SETTLING = 3.0
"""Seconds after a change of a file during which one more change may leave all times of the file as they are.

File systems count times in steps: most of them of some milliseconds, some of 1 s or 2 s.
"""


def snapshot(path: str) -> Snapshot:
    """Returns the state of the file `path` and of all directories and links on the way to it.

    While it stays `unchanged`, `weakness` returns the same. The file also has the same content, if the snapshot was
    made more than SETTLING seconds after the `last_change`. Raises OSError.
    """
    return tuple((entry, _state(found)) for entry, found in _way(path))


def last_change(found: Snapshot) -> float:
    """Returns the time at which the file, or a link on the way to it, was last changed; seconds since the epoch."""
    return max(state[-1] for _, state in found) / 1e9


def unchanged(before: Snapshot) -> bool:
    """Returns True if `snapshot` would return `before` again. Takes a system call for each part of the path.

    Opens the file as well: otherwise a client of NFS may answer for a minute by what it knows. It asks the server if a
    file is opened.
    """
    (file, kept), *way = reversed(before)
    try:
        if any(_state(os.lstat(entry)) != state for entry, state in way):
            return False
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            return _state(os.fstat(fd)) == kept
        finally:
            socket.close(fd)  # closes now; gevent's os.close waits for the next iteration of the event loop
    except OSError:
        return False


def _state(found: os.stat_result) -> tuple[int, ...]:
    mode = found.st_mode
    place = (mode, found.st_uid, found.st_gid, found.st_ino, found.st_dev)
    if stat.S_ISDIR(mode):
        return (*place, 0, 0, 0)  # its times change with each file that is made in it
    return (*place, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _way(path: str) -> list[tuple[str, os.stat_result]]:
    """Returns all directories and links on the way to the file `path`. The last entry is the file itself.

    Each entry is a pair: the path and its os.lstat. Raises OSError if a part of the path cannot be read.
    """
    # Not abspath, which drops `..` together with the name before it. If that is a link, `..` leads elsewhere.
    parts, current, links = _parts(os.path.join(os.getcwd(), path)), "/", 0
    way = [(current, os.lstat(current))]
    while parts:
        part = parts.pop()
        if part == "..":
            current = os.path.dirname(current)
            continue
        entry = os.path.join(current, part)
        found = os.lstat(entry)
        if not stat.S_ISLNK(found.st_mode):
            current = entry
        elif (links := links + 1) > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        else:
            target = os.readlink(entry)
            parts += _parts(target)
            current = "/" if os.path.isabs(target) else current
        way.append((entry, found))
    return way


def _parts(path: str) -> list[str]:
    """Returns the names in a path, in reverse order."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]

"""Finds out whether another user of this host could replace a file. Also checks all directories in the file's path.

The option StrictModes of sshd does the same.

Symbolic links are followed one by one, so the directories that contain the links are checked as well.
"""

from __future__ import annotations

import errno
import os
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


def snapshot(path: str) -> Snapshot:
    """Returns the state of the file `path` and of all directories and links on the way to it.

    While it stays `unchanged`, `weakness` returns the same, and the file has the same content. Raises OSError.
    """
    return tuple((entry, _state(found)) for entry, found in _way(path))


def unchanged(before: Snapshot) -> bool:
    """Returns True if `snapshot` would return `before` again. Takes a system call for each part of the path."""
    try:
        for entry, state in before:
            if _state(os.lstat(entry)) != state:
                return False
    except OSError:
        return False
    return True


def _state(found: os.stat_result) -> tuple[int, ...]:
    mode = found.st_mode
    place = (mode, found.st_uid, found.st_gid, found.st_ino, found.st_dev)
    if stat.S_ISDIR(mode):
        return place  # its times change with each file that is made in it
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

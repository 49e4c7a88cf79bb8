"""Lists the sessions on this machine for which this user's mlogin runs its own reflector. There is a file for each.

Such a reflector listens on loopback, needs no signatures and lists no sessions. It accepts every client that knows the
session's id, so the id is a secret. That is why the files are in a directory that only this user can read. mlogin holds
a lock on its file while it runs. If a file has no lock, mlogin and its guard process were killed. The next program that
reads the directory removes this file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medusa.protocol.printable import printable
from medusa.temporary import temporary_directory

Entry = dict[str, Any]
"""The description of one session, in the form of the reflector's JSON, and the URL of its reflector."""

REFLECTOR = "reflector"
"""The key of the reflector's URL in an entry."""

_SUFFIX = ".json"

TRIES = 3
"""How often a file is tried to be written: another program may remove the directory, because it was empty."""


@contextlib.contextmanager
def announced(
    entry: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    noted: Callable[[str], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> Iterator[None]:
    """Context manager that adds `entry` to what `sessions` returns, during the `with` block.

    Writes `entry`, the description of a session, to a file. If no directory is safe from other users, writes no file.

    Args:
        noted: a function that is called with the path of the file. It returns a context manager that removes the file
            if mlogin is killed.
    """
    directory = _directory(environ)
    sessions(environ)  # removes what killed programs have left, so that the last one can remove the directory
    path = _path(directory, entry["id"])
    with noted(str(path)):
        fd = _written(path, json.dumps(entry).encode())
        try:
            yield
        finally:
            if fd is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
                    directory.rmdir()  # fails if other sessions are there
                os.close(fd)


def sessions(environ: Mapping[str, str] = os.environ) -> list[Entry]:
    """Returns this machine's sessions for which a running mlogin of this user has its own reflector, oldest first."""
    directory = _directory(environ)
    found: list[Entry] = []
    if _is_safe(directory):
        with contextlib.suppress(OSError):
            found = [entry for path in directory.glob("*" + _SUFFIX) if (entry := _read(path)) is not None]
    return sorted(found, key=lambda entry: (entry["created"], entry["id"]))


def is_over(session: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Returns True if the mlogin that runs the reflector of the session has ended; False if that cannot be found out.

    `session`: its id.
    """
    try:
        with _path(_directory(environ), session).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:  # for example: mlogin holds its lock
        return False
    return True


def _path(directory: Path, session: str) -> Path:
    return directory / (urllib.parse.quote(session, safe="") + _SUFFIX)


def _directory(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_RUNTIME_DIR", "")
    return Path(base, "medusa") if os.path.isabs(base) else Path(temporary_directory(), f"medusa-{os.geteuid()}")


def _is_safe(directory: Path) -> bool:
    """Returns True if `directory` exists, and no other user can read it or put files there."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _written(path: Path, data: bytes) -> int | None:
    """Writes a file and locks it. The file gets the name `path` only after it is complete and locked.

    Returns the file's descriptor, which holds the lock; None if the file cannot be written, or others could read it.
    """
    draft = path.with_suffix(f".{os.getpid()}")
    fd = None
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700)
        if not _is_safe(path.parent):
            continue  # it may have been removed meanwhile
        with contextlib.suppress(OSError):
            fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            break
    if fd is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(fd, data)
        draft.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        os.close(fd)
        return None
    return fd


def _read(path: Path) -> Entry | None:
    """Returns the session that a file describes. Returns None if the file is invalid or left behind.

    A file is left behind if the mlogin that wrote it has ended. Such a file is removed.
    """
    try:
        with path.open("rb") as file:
            if _is_locked(file.fileno()):
                entry = json.loads(file.read())
                return entry if _is_good(entry) else None
            path.unlink()
            path.parent.rmdir()  # fails if something else is in it
    except (OSError, ValueError):
        pass
    return None


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _is_good(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(key), kind) and printable(str(entry[key]), 4096) == str(entry[key])
        for key, kind in (("id", str), (REFLECTOR, str), ("created", (int, float)))
    )

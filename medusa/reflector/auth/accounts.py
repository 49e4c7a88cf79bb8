"""Reads the public keys of accounts, and of their users, from the files in a directory.

A login is the name of an account. An account can have users: people with keys of their own, who sign for the account.
The file `DIR/LOGIN` holds the keys of an account. The file `DIR/LOGIN.users/USER` holds the keys of one user of the
account. The files have the format of sshd's authorized_keys. A file that has changed is read again. A file is ignored
if users of this host other than its owner can change it; see strict_modes.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from medusa.keys import BadKey, PublicKey, numbered_lines
from medusa.protocol.attach_path import LOGIN
from medusa.reflector.auth.strict_modes import (
    SETTLING,
    Snapshot,
    last_change,
    snapshot,
    trusted_owners,
    unchanged,
    weakness,
)

log = structlog.get_logger(component="accounts")

MAX_FILE = 1024 * 1024
"""The largest size in bytes of a file of keys: room for thousands of keys."""

MAX_UNREADABLE = 100
"""The maximum number of unreadable files that are remembered and logged.

The login in a request decides which file is read. Without this limit, strangers could fill the log.
"""

USERS = ".users"
"""The ending of a directory's name. The directory LOGIN.users has a file of keys for each user of the account LOGIN."""

_KEY_TYPES = (b"ssh-", b"ecdsa-", b"sk-")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_Version = tuple[int | str, ...]


class AccountsError(Exception):
    """Raised if the directory of accounts cannot be used. The text says why."""


class Accounts:
    """The public keys of all accounts and their users, from the files in `directory`.

    The names of accounts (logins) and of users are used as file names. So callers may pass only names that have the
    form of medusa.protocol.attach_path.LOGIN.

    `clock` returns the time in seconds since the epoch.
    """

    def __init__(self, directory: str, clock: Callable[[], float] = time.time) -> None:
        """Raises AccountsError if the directory cannot be read, or if other users of this host could change it."""
        self._directory = Path(directory)
        self._clock = clock
        # By file: its version, its content if the file was changed only just before, and its keys.
        self._files: dict[Path, tuple[_Version, bytes | None, list[PublicKey]]] = {}
        self._checked: dict[tuple[str, str | None], tuple[Snapshot, list[PublicKey]]] = {}  # by login and user
        self._unreadable: dict[Path, str] = {}  # by file, the reason that was logged last
        try:
            list(self._directory.iterdir())
            self._owners = trusted_owners(directory)
            weak = self._weakness(self._directory, self._directory)
        except OSError as error:
            raise AccountsError("%s: %s" % (directory, error.strerror or error)) from None
        if weak:
            raise AccountsError("%s: %s" % (directory, weak))

    def find(self, login: str, user: str | None, fingerprint: str) -> PublicKey | None:
        """Returns the key that has `fingerprint`, or None if there is no such key.

        Searches the keys of the account `login` if `user` is None. Otherwise searches the keys of this account's user
        `user`.
        """
        checked = self._checked.get((login, user))
        keys = checked[1] if checked is not None and unchanged(checked[0]) else self._check(login, user)
        return next((key for key in keys if key.matches(fingerprint)), None)

    def everyone(self) -> dict[tuple[str, str | None], list[PublicKey]]:
        """Returns the keys of every account and of every user, in a dict from (login, user) to a list of keys.

        `login` is the name of an account. The key (login, None) is for the keys of the account itself.

        Raises AccountsError if the directory cannot be read.
        """
        try:
            files: list[tuple[str, str | None, Path]] = [(path.name, None, path) for path in self._directory.iterdir()]
            files += [
                (folder.name[: -len(USERS)], path.name, path)
                for folder in self._directory.glob("*" + USERS)
                for path in folder.iterdir()
            ]
        except OSError as error:
            raise AccountsError("%s: %s" % (self._directory, error.strerror or error)) from None
        return {
            (login, user): self._keys(path)
            for login, user, path in sorted(files, key=lambda file: str(file[2]))
            if path.is_file() and all(re.fullmatch(LOGIN, name) for name in (login, user or login))
        }

    def _check(self, login: str, user: str | None) -> list[PublicKey]:
        """Returns the keys of an account or of its user. Remembers them if a snapshot shows each change from now on."""
        self._checked.pop((login, user), None)
        path = self._directory / login if user is None else self._directory / (login + USERS) / user
        try:
            before = snapshot(str(path))
            # If the file system decides as well who can write, no snapshot shows all that matters.
            complete = not any(folder.stat().st_mode & _OTHERS_WRITE for folder in (self._directory, path.parent))
            settled = self._clock() - last_change(before) > SETTLING
        except OSError:
            return self._keys(path)  # which logs the error
        keys = self._keys(path)
        if keys and complete and settled and unchanged(before):
            self._checked[login, user] = before, keys
        return keys

    def _keys(self, path: Path) -> list[PublicKey]:
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                found = os.fstat(file.fileno())
                weak = self._weakness(path, self._directory, path.parent)
                version = (found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, weak)
                settled = self._clock() - found.st_ctime > SETTLING
                before, content, keys = self._files.get(path, (None, None, []))
                if version != before or content is not None:
                    data = file.read(MAX_FILE + 1) if stat.S_ISREG(found.st_mode) else b""
                    if version != before or content != data:
                        keys = _read(path, data) if _trusted(path, found.st_mode, weak) else []
                    self._files[path] = (version, None if settled else data, keys)
        except OSError as error:
            self._files.pop(path, None)
            self._note(path, error)
            return []
        self._unreadable.pop(path, None)
        return keys

    def _note(self, path: Path, error: OSError) -> None:
        """Logs that a file cannot be read. Does not repeat the same reason. Logs nothing if there is no such file."""
        if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            self._unreadable.pop(path, None)
            return
        reason = error.strerror or str(error)
        known = self._unreadable.get(path)
        if known != reason and (known is not None or len(self._unreadable) < MAX_UNREADABLE):
            self._unreadable[path] = reason
            log.error("account not readable", file=str(path), error=reason)

    def _weakness(self, path: Path, *folders: Path) -> str:
        """Returns the reason why an untrusted user of this host could change a file of keys; "" if none could.

        An untrusted user is one that `trusted_owners` does not return. Raises OSError.

        Args:
            path: the file. An untrusted user must not be able to replace it.
            folders: directories in which an untrusted user must not be able to create files.
        """
        writable = next(filter(_open_folder, folders), None)
        if writable is not None:
            return f"others than its owner can write {writable}: chmod go-w"
        return weakness(str(path), self._owners)


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file without blocking, even if it is a named pipe. Pass this function to `open` as `opener`."""
    return os.open(path, flags | os.O_NONBLOCK)


def _open_folder(path: Path) -> bool:
    """Returns True if users other than the owner can create files in a directory.

    Always returns False if the directory has the sticky bit and its file system is read-only. A volume of Kubernetes
    secrets is such a directory.
    """
    mode = path.stat().st_mode
    if mode & stat.S_ISVTX and os.statvfs(path).f_flag & os.ST_RDONLY:
        return False
    return bool(mode & _OTHERS_WRITE)


def _trusted(path: Path, mode: int, weak: str) -> bool:
    """Returns True if `path` is a regular file that only its owner can change. Logs `weak` if other users can.

    A user of this host who can add a key to the file could sign for the account that the file is for.

    Args:
        mode: the file's mode.
        weak: the reason why other users could change the file, from `_weakness`; "" if they cannot.
    """
    if stat.S_ISREG(mode) and weak:
        log.error("account ignored: others could change it", file=str(path), reason=weak)
    return stat.S_ISREG(mode) and not weak


def _read(path: Path, data: bytes) -> list[PublicKey]:
    if len(data) > MAX_FILE:
        log.error("account ignored: the file is above %d bytes" % MAX_FILE, file=str(path))
        return []
    keys = []
    for number, line in numbered_lines(data):
        try:
            if not line.lstrip().startswith(_KEY_TYPES):
                # Options such as from="..." and expiry-time="..." restrict a key. To ignore them would lift that.
                raise BadKey("options before a key are not understood")
            keys.append(PublicKey.from_ssh(line))
        except BadKey as error:
            log.warning("key ignored", file=str(path), line=number, reason=str(error))
    log.info("account read", file=str(path), keys=len(keys))
    return keys

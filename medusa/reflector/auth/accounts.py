"""The public keys of the logins: a directory with one file for each, in the format of sshd's authorized_keys.

`DIR/LOGIN` holds the keys of an account, `DIR/LOGIN.users/USER` those of one of its users. A file that has changed is
read again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import structlog

from medusa.keys import BadKey, PublicKey

log = structlog.get_logger(component="accounts")

MAX_FILE = 1024 * 1024
"""Bytes; thousands of keys."""

_KEY_TYPES = (b"ssh-", b"ecdsa-", b"sk-")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_Version = tuple[int, ...]


class AccountsError(Exception):
    """The directory cannot be used."""


class Accounts:
    """The keys of each login. Logins and users must have the form of medusa.protocol.attach_path.LOGIN."""

    def __init__(self, directory: str) -> None:
        """Raises AccountsError."""
        self._directory = Path(directory)
        self._files: dict[Path, tuple[_Version, list[PublicKey]]] = {}
        try:
            list(self._directory.iterdir())
            open_to_others = _open_folder(self._directory)
        except OSError as error:
            raise AccountsError("%s: %s" % (directory, error.strerror or error)) from None
        if open_to_others:
            raise AccountsError("%s: others than its owner can write it: chmod go-w" % directory)

    def find(self, login: str, user: str | None, fingerprint: str) -> PublicKey | None:
        """The key of the account, or of its `user`, that has `fingerprint`; None if there is no such key."""
        path = self._directory / login if user is None else self._directory / f"{login}.users" / user
        return next((key for key in self._keys(path) if key.matches(fingerprint)), None)

    def _keys(self, path: Path) -> list[PublicKey]:
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                found = os.fstat(file.fileno())
                unsafe = any(map(_open_folder, {self._directory, path.parent}))
                version = (found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, unsafe)
                if version != self._files.get(path, (None,))[0]:
                    trusted = _trusted(path, found.st_mode, unsafe)
                    keys = _read(path, file.read(MAX_FILE + 1)) if trusted else []
                    self._files[path] = (version, keys)
        except OSError as error:
            self._files.pop(path, None)
            if not isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
                log.error("account not readable", file=str(path), error=error.strerror or str(error))
            return []
        return self._files[path][1]


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file. A named pipe in its place must not block the service."""
    return os.open(path, flags | os.O_NONBLOCK)


def _open_folder(path: Path) -> bool:
    """True if others than the owner can put files into a directory.

    A volume of Kubernetes secrets has the mode for that, and the sticky bit, but is mounted read-only.
    """
    mode = path.stat().st_mode
    if mode & stat.S_ISVTX and os.statvfs(path).f_flag & os.ST_RDONLY:
        return False
    return bool(mode & _OTHERS_WRITE)


def _trusted(path: Path, mode: int, unsafe: bool) -> bool:
    """True if no other user than the owner can write a file, or put another in its place: such a user could sign.

    What a symbolic link points to is not checked: the owner of the directory has made the link.
    """
    if not stat.S_ISREG(mode):
        return False
    if unsafe or mode & _OTHERS_WRITE:
        log.error("account ignored: others than its owner can write the file or its directory", file=str(path))
        return False
    return True


def _read(path: Path, data: bytes) -> list[PublicKey]:
    if len(data) > MAX_FILE:
        log.error("account ignored: the file is above %d bytes" % MAX_FILE, file=str(path))
        return []
    keys = []
    for number, line in enumerate(data.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        try:
            if not words[0].startswith(_KEY_TYPES):
                # from="...", expiry-time="..." and others restrict a key: to overlook them would be to lift them.
                raise BadKey("options before a key are not understood")
            keys.append(PublicKey.from_ssh(line))
        except BadKey as error:
            log.warning("key ignored", file=str(path), line=number, reason=str(error))
    log.info("account read", file=str(path), keys=len(keys))
    return keys

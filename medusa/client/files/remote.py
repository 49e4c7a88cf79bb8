"""Requests about paths in the job: what they are, what directories hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from typing import NamedTuple

from medusa.client.files.sftp import Answer, Sftp, SftpError, Steps, Ticket, check
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import Attributes
from medusa.protocol.sftp.packets import text

MAX_NAMES = 10_000_000
"""The most names that a directory may have. A server that sends more has gone mad."""


class Entry(NamedTuple):
    """A name in a directory, and the attributes of what has it."""

    name: bytes
    attributes: Attributes


def stat_of(sftp: Sftp, path: bytes, *, follow: bool = True) -> Generator[Ticket, Answer, Attributes]:
    """Returns the attributes of a path. Raises SftpError.

    `follow`: True for those of what a symbolic link points to.
    """
    fields = yield from sftp.ask(p.ATTRS, p.STAT if follow else p.LSTAT, text(path))
    return Attributes.read(fields)


def found_at(sftp: Sftp, path: bytes, *, follow: bool = True) -> Generator[Ticket, Answer, Attributes | None]:
    """Returns the attributes of a path; None if there is nothing. Raises SftpError for other errors."""
    try:
        return (yield from stat_of(sftp, path, follow=follow))
    except SftpError as error:
        if error.status == p.NO_SUCH_FILE:
            return None
        raise


def is_directory(attributes: Attributes | None) -> bool:
    """True if there is a directory."""
    return attributes is not None and stat.S_ISDIR(attributes.mode or 0)


def expanded(sftp: Sftp, path: bytes) -> Generator[Ticket, Answer, bytes]:
    """Returns `path` with the home directory in place of a `~` at its front. Raises SftpError."""
    if not path.startswith(b"~"):
        return path
    if p.EXPAND_PATH not in sftp.extensions:
        raise SftpError(p.UNSUPPORTED, "")
    fields = yield from sftp.ask(p.NAME, p.EXTENDED, text(p.EXPAND_PATH), text(path))
    fields.number()
    return fields.text()


def listed(sftp: Sftp, path: bytes) -> Generator[Ticket, Answer, list[Entry]]:
    """Returns all that a directory holds. Raises SftpError, also for names that no directory has."""
    handle = text((yield from sftp.ask(p.HANDLE, p.OPENDIR, text(path))).text())
    found: list[Entry] = []
    try:
        while (names := (yield from _next_names(sftp, handle))) and len(found) < MAX_NAMES:
            found += names
    finally:
        sftp.post(p.CLOSE, handle)
    return found


def _next_names(sftp: Sftp, handle: bytes) -> Generator[Ticket, Answer, list[Entry]]:
    try:
        fields = yield from sftp.ask(p.NAME, p.READDIR, handle)
    except SftpError as error:
        if error.status == p.EOF:
            return []
        raise
    found = []
    for _ in range(fields.number()):
        name, _, attributes = fields.text(), fields.view(), Attributes.read(fields)
        if b"/" in name or b"\0" in name or not name:  # it could lead out of the directory of the copy
            raise SftpError(p.FAILURE, "the SFTP server has sent a name that no file can have")
        found.append(Entry(name, attributes))
    return found


def explained(sftp: Sftp, error: SftpError, path: bytes) -> Generator[Ticket, Answer, str]:
    """Returns why a file could not be written. OpenSSH's server says no more than that it has failed."""
    if str(error) != "Failure" or p.STATVFS not in sftp.extensions:
        return str(error)
    try:
        fields = yield from sftp.ask(p.EXTENDED_REPLY, p.EXTENDED, text(p.STATVFS), text(os.path.dirname(path) or b"."))
    except SftpError:
        return str(error)
    *_, free = (fields.long() for _ in range(5))
    return str(error) if free else "No space left on device"


def rename(sftp: Sftp, old: bytes, new: bytes) -> Steps:
    """Renames a file, and replaces the one that has the new name. Raises SftpError."""
    if p.POSIX_RENAME in sftp.extensions:
        yield from sftp.ask(p.STATUS, p.EXTENDED, text(p.POSIX_RENAME), text(old), text(new))
        return
    answer = yield sftp.post(p.REMOVE, text(new))
    try:
        check(answer)
    except SftpError as error:
        if error.status != p.NO_SUCH_FILE:
            raise
    yield from sftp.ask(p.STATUS, p.RENAME, text(old), text(new))

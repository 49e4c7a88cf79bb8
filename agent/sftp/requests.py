"""The requests of SFTP version 3: carries out each of them, as OpenSSH's server does, and builds its answer."""

from __future__ import annotations

import errno
import os
import struct
import time
from typing import Callable, Dict, List, Optional

from agent.sftp.handles import MAX_HANDLES, Handles
from agent.sftp.names import attributes_of, entry
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import Attributes
from medusa.protocol.sftp.packets import Fields, packet, text

NAMES = 100
"""The most names in one answer to READDIR."""

_LISTED = 64 * 1024
"""Bytes. An answer to READDIR that has so many gets no more names."""

_OPEN_FLAGS = ((p.APPEND, os.O_APPEND), (p.CREATE, os.O_CREAT), (p.TRUNCATE, os.O_TRUNC), (p.EXCLUSIVE, os.O_EXCL))

Answer = Callable[[Handles, int, Fields], bytes]
"""Carries out a request. Gets what the client has open, the number of the request, and the fields that follow it.

Returns the answer, a whole packet. Raises OSError, ValueError, OverflowError or BadPacket if the request fails.
"""


def status(number: int, code: int, words: str) -> bytes:
    """Returns the answer STATUS: a code, and words for people."""
    return packet(p.STATUS, number, struct.pack(">I", code) + text(words.encode("utf-8", "replace")) + text(b""))


def _done(number: int) -> bytes:
    return status(number, p.OK, "Success")


def _one_name(number: int, path: bytes) -> bytes:
    return packet(p.NAME, number, struct.pack(">I", 1) + entry(path, None, 0.0))


# ---------------------------------------------------------------------- files


def _open(handles: Handles, number: int, fields: Fields) -> bytes:
    path, asked, attributes = fields.text(), fields.number(), Attributes.read(fields)
    both = p.FOR_READING | p.FOR_WRITING
    flags = {both: os.O_RDWR, p.FOR_WRITING: os.O_WRONLY}.get(asked & both, os.O_RDONLY)
    for bit, flag in _OPEN_FLAGS:
        flags |= flag if asked & bit else 0
    mode = 0o666 if attributes.mode is None else attributes.mode & 0o7777
    return packet(p.HANDLE, number, text(handles.open_file(path, flags, mode)))


def _close(handles: Handles, number: int, fields: Fields) -> bytes:
    handles.close(fields.text())
    return _done(number)


def _read(handles: Handles, number: int, fields: Fields) -> bytes:
    fd, offset, size = handles.file(fields.text()).fd, fields.long(), fields.number()
    data = os.pread(fd, min(size, p.MAX_DATA), offset)
    if size and not data:
        return status(number, p.EOF, "End of file")
    return packet(p.DATA, number, p.NUMBER.pack(len(data)), data)


def _write(handles: Handles, number: int, fields: Fields) -> bytes:
    found, offset, data = handles.file(fields.text()), fields.long(), fields.view()
    while data:
        written = os.write(found.fd, data) if found.appends else os.pwrite(found.fd, data, offset)
        data, offset = data[written:], offset + written
    return _done(number)


def _fstat(handles: Handles, number: int, fields: Fields) -> bytes:
    return packet(p.ATTRS, number, attributes_of(os.fstat(handles.file(fields.text()).fd)))


def _fsetstat(handles: Handles, number: int, fields: Fields) -> bytes:
    fd = handles.file(fields.text()).fd
    wanted = Attributes.read(fields)
    if wanted.size is not None:
        os.ftruncate(fd, wanted.size)
    if wanted.mode is not None:
        os.fchmod(fd, wanted.mode & 0o7777)
    if wanted.times is not None:
        os.utime(fd, wanted.times)
    if wanted.owner is not None:
        os.fchown(fd, *wanted.owner)
    return _done(number)


def _fsync(handles: Handles, number: int, fields: Fields) -> bytes:
    os.fsync(handles.file(fields.text()).fd)
    return _done(number)


# ---------------------------------------------------------------------- paths


def _stat(handles: Handles, number: int, fields: Fields) -> bytes:
    return packet(p.ATTRS, number, attributes_of(os.stat(fields.text())))


def _lstat(handles: Handles, number: int, fields: Fields) -> bytes:
    return packet(p.ATTRS, number, attributes_of(os.lstat(fields.text())))


def _setstat(handles: Handles, number: int, fields: Fields, *, follows: bool = True) -> bytes:
    path, wanted = fields.text(), Attributes.read(fields)
    if wanted.size is not None:
        os.truncate(path, wanted.size)
    if wanted.mode is not None:
        try:
            os.chmod(path, wanted.mode & 0o7777, follow_symlinks=follows)
        except NotImplementedError:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from None
    if wanted.times is not None:
        os.utime(path, wanted.times, follow_symlinks=follows)
    if wanted.owner is not None:
        os.chown(path, *wanted.owner, follow_symlinks=follows)
    return _done(number)


def _lsetstat(handles: Handles, number: int, fields: Fields) -> bytes:
    return _setstat(handles, number, fields, follows=False)


def _remove(handles: Handles, number: int, fields: Fields) -> bytes:
    os.unlink(fields.text())
    return _done(number)


def _rename(handles: Handles, number: int, fields: Fields) -> bytes:
    """Renames a file or directory, but replaces none: so says version 3."""
    old, new = fields.text(), fields.text()
    try:
        os.link(old, new, follow_symlinks=False)  # fails if `new` exists
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a directory, or a file system without links
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(old, new)
        return _done(number)
    os.unlink(old)
    return _done(number)


def _posix_rename(handles: Handles, number: int, fields: Fields) -> bytes:
    os.rename(fields.text(), fields.text())
    return _done(number)


def _hardlink(handles: Handles, number: int, fields: Fields) -> bytes:
    os.link(fields.text(), fields.text(), follow_symlinks=False)
    return _done(number)


def _readlink(handles: Handles, number: int, fields: Fields) -> bytes:
    return _one_name(number, os.readlink(fields.text()))


def _symlink(handles: Handles, number: int, fields: Fields) -> bytes:
    # The target comes first, as OpenSSH has it, and with it all clients; the draft has it the other way round.
    os.symlink(fields.text(), fields.text())
    return _done(number)


def _realpath(handles: Handles, number: int, fields: Fields) -> bytes:
    return _one_name(number, os.path.realpath(fields.text() or b"."))


def _expand_path(handles: Handles, number: int, fields: Fields) -> bytes:
    return _one_name(number, os.path.realpath(os.path.expanduser(fields.text()) or b"."))


# ---------------------------------------------------------------------- directories


def _mkdir(handles: Handles, number: int, fields: Fields) -> bytes:
    path, mode = fields.text(), Attributes.read(fields).mode
    os.mkdir(path, 0o777 if mode is None else mode & 0o7777)
    return _done(number)


def _rmdir(handles: Handles, number: int, fields: Fields) -> bytes:
    os.rmdir(fields.text())
    return _done(number)


def _opendir(handles: Handles, number: int, fields: Fields) -> bytes:
    return packet(p.HANDLE, number, text(handles.open_directory(fields.text())))


def _readdir(handles: Handles, number: int, fields: Fields) -> bytes:
    found, now, items, size = handles.directory(fields.text()), time.time(), [], 0
    for name in found.names:
        items.append(entry(name, _lstat_or_none(os.path.join(found.path, name)), now))
        size += len(items[-1])
        if len(items) >= NAMES or size >= _LISTED:
            break
    if not items:
        return status(number, p.EOF, "End of file")
    return packet(p.NAME, number, struct.pack(">I", len(items)) + b"".join(items))


def _lstat_or_none(path: bytes) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except OSError:
        return None  # it was removed meanwhile


# ---------------------------------------------------------------------- file systems and extensions


def _statvfs_reply(number: int, found: os.statvfs_result) -> bytes:
    numbers: List[int] = [found.f_bsize, found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files]
    numbers += [found.f_ffree, found.f_favail, found.f_fsid, found.f_flag & 3, found.f_namemax]
    return packet(p.EXTENDED_REPLY, number, struct.pack(">11Q", *(value & (1 << 64) - 1 for value in numbers)))


def _statvfs(handles: Handles, number: int, fields: Fields) -> bytes:
    return _statvfs_reply(number, os.statvfs(fields.text()))


def _fstatvfs(handles: Handles, number: int, fields: Fields) -> bytes:
    return _statvfs_reply(number, os.fstatvfs(handles.file(fields.text()).fd))


def _limits(handles: Handles, number: int, fields: Fields) -> bytes:
    return packet(p.EXTENDED_REPLY, number, struct.pack(">4Q", p.MAX_PACKET, p.MAX_DATA, p.MAX_DATA, MAX_HANDLES))


def _extended(handles: Handles, number: int, fields: Fields) -> bytes:
    name = fields.text()
    if name not in EXTENSIONS:
        return status(number, p.UNSUPPORTED, "no such extension")
    return EXTENSIONS[name][1](handles, number, fields)


EXTENSIONS = {
    p.POSIX_RENAME: (b"1", _posix_rename),
    p.STATVFS: (b"2", _statvfs),
    p.FSTATVFS: (b"2", _fstatvfs),
    p.HARDLINK: (b"1", _hardlink),
    p.FSYNC: (b"1", _fsync),
    p.LSETSTAT: (b"1", _lsetstat),
    p.LIMITS: (b"1", _limits),
    p.EXPAND_PATH: (b"1", _expand_path),
}
"""The names of the extensions -> the version of each, and the request."""

REQUESTS: Dict[int, Answer] = {
    p.OPEN: _open,
    p.CLOSE: _close,
    p.READ: _read,
    p.WRITE: _write,
    p.LSTAT: _lstat,
    p.FSTAT: _fstat,
    p.SETSTAT: _setstat,
    p.FSETSTAT: _fsetstat,
    p.OPENDIR: _opendir,
    p.READDIR: _readdir,
    p.REMOVE: _remove,
    p.MKDIR: _mkdir,
    p.RMDIR: _rmdir,
    p.REALPATH: _realpath,
    p.STAT: _stat,
    p.RENAME: _rename,
    p.READLINK: _readlink,
    p.SYMLINK: _symlink,
    p.EXTENDED: _extended,
}
"""The types of packets -> the requests."""

"""Carries out the requests of SFTP version 3, as OpenSSH's server does. Paths are bytes, of any encoding."""

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
from medusa.protocol.sftp.packets import BadPacket, Fields, packet, text

NAMES = 100
"""The most names in one answer to READDIR."""

_LISTED = 64 * 1024
"""Bytes. An answer to READDIR that has so many gets no more names."""

_STATUSES = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ELOOP), p.NO_SUCH_FILE),
    **dict.fromkeys((errno.EPERM, errno.EACCES, errno.EROFS), p.PERMISSION_DENIED),
    **dict.fromkeys((errno.ENOSYS, errno.EOPNOTSUPP), p.UNSUPPORTED),
}
"""Maps errors of the system to statuses. All others are FAILURE."""

_OPEN_FLAGS = ((p.APPEND, os.O_APPEND), (p.CREATE, os.O_CREAT), (p.TRUNCATE, os.O_TRUNC), (p.EXCLUSIVE, os.O_EXCL))

Answer = Callable[["Server", int, Fields], bytes]


class Server:
    """The files of one client: carries out its requests, one by one. Each may block, as long as the disk does."""

    def __init__(self) -> None:
        self.handles = Handles()

    def answer(self, data: memoryview) -> bytes:
        """Carries out a request and returns the answer to it, a whole packet.

        Raises:
            BadPacket: the packet has no number, so that it cannot be answered.
        """
        kind, fields = data[0], Fields(data, 1)
        number = fields.number()
        if kind == p.INIT:
            return _version()
        request = _REQUESTS.get(kind)
        if request is None:
            return _status(number, p.UNSUPPORTED, "no such request: %d" % kind)
        try:
            return request(self, number, fields)
        except BadPacket as error:
            return _status(number, p.BAD_MESSAGE, str(error))
        except OSError as error:
            status = _STATUSES.get(error.errno or 0, p.FAILURE)
            return _status(number, status, error.strerror or str(error))
        except OverflowError:
            return _status(number, p.FAILURE, "a number is too large for this system")
        except ValueError as error:  # a path with a zero byte
            return _status(number, p.FAILURE, str(error))


def _version() -> bytes:
    names = b"".join(text(name) + text(version) for name, (version, _) in _EXTENSIONS.items())
    return packet(p.VERSION, p.PROTOCOL_VERSION, names)


def _status(number: int, status: int, words: str) -> bytes:
    return packet(p.STATUS, number, struct.pack(">I", status) + text(words.encode("utf-8", "replace")) + text(b""))


def _done(number: int) -> bytes:
    return _status(number, p.OK, "Success")


def _one_name(number: int, path: bytes) -> bytes:
    return packet(p.NAME, number, struct.pack(">I", 1) + entry(path, None, 0.0))


# ---------------------------------------------------------------------- files


def _open(server: Server, number: int, fields: Fields) -> bytes:
    path, asked, attributes = fields.text(), fields.number(), Attributes.read(fields)
    both = p.FOR_READING | p.FOR_WRITING
    flags = {both: os.O_RDWR, p.FOR_WRITING: os.O_WRONLY}.get(asked & both, os.O_RDONLY)
    for bit, flag in _OPEN_FLAGS:
        flags |= flag if asked & bit else 0
    mode = 0o666 if attributes.mode is None else attributes.mode & 0o7777
    return packet(p.HANDLE, number, text(server.handles.open_file(path, flags, mode)))


def _close(server: Server, number: int, fields: Fields) -> bytes:
    server.handles.close(fields.text())
    return _done(number)


def _read(server: Server, number: int, fields: Fields) -> bytes:
    fd, offset, size = server.handles.file(fields.text()).fd, fields.long(), fields.number()
    data = os.pread(fd, min(size, p.MAX_DATA), offset)
    if size and not data:
        return _status(number, p.EOF, "End of file")
    return packet(p.DATA, number, p.NUMBER.pack(len(data)), data)


def _write(server: Server, number: int, fields: Fields) -> bytes:
    found, offset, data = server.handles.file(fields.text()), fields.long(), fields.view()
    while data:
        written = os.write(found.fd, data) if found.appends else os.pwrite(found.fd, data, offset)
        data, offset = data[written:], offset + written
    return _done(number)


def _fstat(server: Server, number: int, fields: Fields) -> bytes:
    return packet(p.ATTRS, number, attributes_of(os.fstat(server.handles.file(fields.text()).fd)))


def _fsetstat(server: Server, number: int, fields: Fields) -> bytes:
    fd = server.handles.file(fields.text()).fd
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


def _fsync(server: Server, number: int, fields: Fields) -> bytes:
    os.fsync(server.handles.file(fields.text()).fd)
    return _done(number)


# ---------------------------------------------------------------------- paths


def _stat(server: Server, number: int, fields: Fields) -> bytes:
    return packet(p.ATTRS, number, attributes_of(os.stat(fields.text())))


def _lstat(server: Server, number: int, fields: Fields) -> bytes:
    return packet(p.ATTRS, number, attributes_of(os.lstat(fields.text())))


def _setstat(server: Server, number: int, fields: Fields, *, follows: bool = True) -> bytes:
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


def _lsetstat(server: Server, number: int, fields: Fields) -> bytes:
    return _setstat(server, number, fields, follows=False)


def _remove(server: Server, number: int, fields: Fields) -> bytes:
    os.unlink(fields.text())
    return _done(number)


def _rename(server: Server, number: int, fields: Fields) -> bytes:
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


def _posix_rename(server: Server, number: int, fields: Fields) -> bytes:
    os.rename(fields.text(), fields.text())
    return _done(number)


def _hardlink(server: Server, number: int, fields: Fields) -> bytes:
    os.link(fields.text(), fields.text(), follow_symlinks=False)
    return _done(number)


def _readlink(server: Server, number: int, fields: Fields) -> bytes:
    return _one_name(number, os.readlink(fields.text()))


def _symlink(server: Server, number: int, fields: Fields) -> bytes:
    # The target comes first, as OpenSSH has it, and with it all clients; the draft has it the other way round.
    os.symlink(fields.text(), fields.text())
    return _done(number)


def _realpath(server: Server, number: int, fields: Fields) -> bytes:
    return _one_name(number, os.path.realpath(fields.text() or b"."))


def _expand_path(server: Server, number: int, fields: Fields) -> bytes:
    return _one_name(number, os.path.realpath(os.path.expanduser(fields.text()) or b"."))


# ---------------------------------------------------------------------- directories


def _mkdir(server: Server, number: int, fields: Fields) -> bytes:
    path, mode = fields.text(), Attributes.read(fields).mode
    os.mkdir(path, 0o777 if mode is None else mode & 0o7777)
    return _done(number)


def _rmdir(server: Server, number: int, fields: Fields) -> bytes:
    os.rmdir(fields.text())
    return _done(number)


def _opendir(server: Server, number: int, fields: Fields) -> bytes:
    return packet(p.HANDLE, number, text(server.handles.open_directory(fields.text())))


def _readdir(server: Server, number: int, fields: Fields) -> bytes:
    found, now, items, size = server.handles.directory(fields.text()), time.time(), [], 0
    for name in found.names:
        items.append(entry(name, _lstat_or_none(os.path.join(found.path, name)), now))
        size += len(items[-1])
        if len(items) >= NAMES or size >= _LISTED:
            break
    if not items:
        return _status(number, p.EOF, "End of file")
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


def _statvfs(server: Server, number: int, fields: Fields) -> bytes:
    return _statvfs_reply(number, os.statvfs(fields.text()))


def _fstatvfs(server: Server, number: int, fields: Fields) -> bytes:
    return _statvfs_reply(number, os.fstatvfs(server.handles.file(fields.text()).fd))


def _limits(server: Server, number: int, fields: Fields) -> bytes:
    return packet(p.EXTENDED_REPLY, number, struct.pack(">4Q", p.MAX_PACKET, p.MAX_DATA, p.MAX_DATA, MAX_HANDLES))


def _extended(server: Server, number: int, fields: Fields) -> bytes:
    name = fields.text()
    if name not in _EXTENSIONS:
        return _status(number, p.UNSUPPORTED, "no such extension")
    return _EXTENSIONS[name][1](server, number, fields)


_EXTENSIONS = {
    p.POSIX_RENAME: (b"1", _posix_rename),
    p.STATVFS: (b"2", _statvfs),
    p.FSTATVFS: (b"2", _fstatvfs),
    p.HARDLINK: (b"1", _hardlink),
    p.FSYNC: (b"1", _fsync),
    p.LSETSTAT: (b"1", _lsetstat),
    p.LIMITS: (b"1", _limits),
    p.EXPAND_PATH: (b"1", _expand_path),
}

_REQUESTS: Dict[int, Answer] = {
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

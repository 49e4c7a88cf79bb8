"""The job's files for asyncssh's server of scp: each call becomes requests to the job's SFTP server."""

from __future__ import annotations

import asyncio
import stat
import struct
from collections.abc import AsyncIterator, Generator
from typing import Any, NoReturn, TypeVar

import asyncssh

from medusa.client.files.remote import listed, stat_of
from medusa.client.files.sftp import Answer, SftpError, Ticket, check
from medusa.client.ssh.scp.requests import Requests
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import NONE, Attributes, whole_seconds
from medusa.protocol.sftp.packets import text

_T = TypeVar("_T")
_Steps = Generator[Ticket, Answer, _T]

_TYPES = {
    stat.S_IFREG: asyncssh.FILEXFER_TYPE_REGULAR,
    stat.S_IFDIR: asyncssh.FILEXFER_TYPE_DIRECTORY,
    stat.S_IFLNK: asyncssh.FILEXFER_TYPE_SYMLINK,
}

_FLAGS = p.FOR_READING | p.FOR_WRITING | p.APPEND | p.CREATE | p.TRUNCATE | p.EXCLUSIVE


_HARMLESS = ("convert_attrs", "exit")
"""The methods of asyncssh's server that touch no files."""


class JobFiles(asyncssh.SFTPServer):
    """The files of the job. What scp does not need is refused.

    All methods raise asyncssh.SFTPError. Paths are bytes; `~/` at their front is left out.
    An open file is the handle of the job's server, as a field.

    Args:
        sends: True if files are sent to the client.
    """

    def __init__(self, chan: Any, requests: Requests, *, sends: bool) -> None:
        super().__init__(chan)
        self._requests, self._sftp, self._sends = requests, requests.sftp, sends

    async def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        try:
            return _attrs(await self._requests.run(stat_of(self._sftp, _at(path)), path))
        except asyncssh.SFTPNoSuchFile as error:
            if not self._sends:
                raise
            raise asyncssh.SFTPFailure(error.reason) from None  # asyncssh would tell of the other kind without its path

    async def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        times = None if attrs.mtime is None else (whole_seconds(attrs.atime or 0), whole_seconds(attrs.mtime))
        given = Attributes(mode=attrs.permissions, times=times).build()
        await self._do(path, p.STATUS, p.SETSTAT, text(_at(path)), given)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """The names in a directory. Of symbolic links it gives the attributes of what they point to, as scp wants."""
        for name, attributes in await self._requests.run(listed(self._sftp, _at(path)), path):
            attrs = _attrs(attributes)
            if attrs.type == asyncssh.FILEXFER_TYPE_SYMLINK:
                try:
                    attrs = await self.stat(_at(path) + b"/" + name)
                except asyncssh.SFTPError:
                    pass  # it points nowhere: scp says that it is no regular file
            yield asyncssh.SFTPName(name, attrs=attrs)

    async def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        await self._do(path, p.STATUS, p.MKDIR, text(_at(path)), NONE)

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> bytes:
        return await self._requests.run(self._sftp.open(_at(path), pflags & _FLAGS, NONE), path)

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Reads up to `size` bytes: fewer at the end of the file, and where the server gives fewer."""
        assert isinstance(file_obj, bytes)
        pieces = self._pieces(offset, size)
        asked = [self._read(file_obj, at, length) for at, length in pieces]
        found = bytearray()
        for (_, length), data in zip(pieces, await asyncio.gather(*asked), strict=True):
            found += data
            if len(data) < length:
                break
        return bytes(found)

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        assert isinstance(file_obj, bytes)
        pieces = self._pieces(offset, len(data))
        parts = [(at, data[at - offset : at - offset + length]) for at, length in pieces]
        asked = [self._do(b"", p.STATUS, p.WRITE, file_obj, struct.pack(">Q", at), text(part)) for at, part in parts]
        await asyncio.gather(*asked)
        return len(data)

    async def close(self, file_obj: object) -> None:
        assert isinstance(file_obj, bytes)
        await self._do(b"", p.STATUS, p.CLOSE, file_obj)

    def _pieces(self, offset: int, size: int) -> list[tuple[int, int]]:
        """Where requests for these bytes of a file begin, and how many bytes each of them is for."""
        chunk, end = self._sftp.chunk, offset + size
        return [(at, min(chunk, end - at)) for at in range(offset, end, chunk)]

    async def _read(self, handle: bytes, offset: int, size: int) -> bytes:
        def steps() -> _Steps[bytes]:
            answer = yield self._sftp.post(p.READ, handle, struct.pack(">QI", offset, size), size=size)
            try:
                return check(answer, p.DATA).text()
            except SftpError as error:
                if error.status == p.EOF:
                    return b""
                raise

        return await self._requests.run(steps())

    async def _do(self, path: bytes, expected: int, kind: int, *fields: bytes) -> None:
        await self._requests.run(self._sftp.ask(expected, kind, *fields), path)


def _refuse(*_: object) -> NoReturn:
    raise asyncssh.SFTPOpUnsupported("the job's files are given to scp only")


# asyncssh's own methods are for files of this machine, and so would be those of a later version.
for _name, _method in vars(asyncssh.SFTPServer).items():
    if callable(_method) and not _name.startswith("_") and _name not in (*vars(JobFiles), *_HARMLESS):
        setattr(JobFiles, _name, _refuse)


def _at(path: bytes) -> bytes:
    """The path from where the job's server begins, which is the home directory."""
    if path.startswith(b"~/"):
        path = path[2:].lstrip(b"/")
    return b"." if path in (b"", b"~") else path


def _attrs(found: Attributes) -> asyncssh.SFTPAttrs:
    mode = found.mode or 0
    atime, mtime = found.times or (0, 0)
    kind = _TYPES.get(stat.S_IFMT(mode), asyncssh.FILEXFER_TYPE_SPECIAL)
    return asyncssh.SFTPAttrs(type=kind, size=found.size or 0, permissions=stat.S_IMODE(mode), atime=atime, mtime=mtime)

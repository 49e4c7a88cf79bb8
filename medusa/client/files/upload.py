"""Copies files, directories and links from this machine into the job."""

from __future__ import annotations

import os
import stat
import struct
from collections import deque
from collections.abc import Generator, Iterator

from medusa.client.files.jobs import Jobs
from medusa.client.files.remote import explained, found_at, is_directory, rename, stat_of
from medusa.client.files.report import PART_ABOVE, Report, Wish, part_of
from medusa.client.files.sftp import Answer, Sftp, SftpError, Steps, Ticket, check
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import NONE, Attributes, whole_seconds
from medusa.protocol.sftp.packets import text

MAX_DEPTH = 128
"""Directories in one another. There are more only if symbolic links that are followed make a circle."""

_NEW = p.FOR_WRITING | p.CREATE | p.TRUNCATE


class Uploads:
    """The pieces of work that copy what the user has named into the job.

    Attributes:
        late: the attributes that directories get at the end: path and attributes, the outer directories first.
    """

    def __init__(self, sftp: Sftp, jobs: Jobs, wish: Wish, report: Report) -> None:
        self._sftp, self._jobs, self._wish, self._report = sftp, jobs, wish, report
        self.late: list[tuple[bytes, bytes]] = []

    def named(self, source: bytes, target: bytes) -> Steps:
        """Copies a source that the user has named. A symbolic link is followed."""
        yield from self._copy(source, target, follow=True, depth=0)

    def finish(self) -> Iterator[Steps]:
        """Yields the work that is left after all other: the times and permissions of directories."""
        for path, attributes in reversed(self.late):
            yield self._set(path, attributes)

    def _set(self, path: bytes, attributes: bytes) -> Steps:
        try:
            yield from self._sftp.ask(p.STATUS, p.SETSTAT, text(path), attributes)
        except SftpError as error:
            self._report.failed(path, error)

    def _copy(self, source: bytes, target: bytes, *, follow: bool, depth: int) -> Steps:
        try:
            found = os.stat(source, follow_symlinks=follow)
            if stat.S_ISREG(found.st_mode):
                yield from self._file(source, target, found)
            elif stat.S_ISDIR(found.st_mode):
                yield from self._directory(source, target, found, depth)
            elif stat.S_ISLNK(found.st_mode):
                yield from self._link(source, target)
            else:
                self._report.failed(source, "not a file, a directory or a link")
        except OSError as error:
            self._report.failed(source, error)
        except SftpError as error:
            self._report.failed(target, (yield from explained(self._sftp, error, target)))

    # ------------------------------------------------------------------ directories and links

    def _directory(self, source: bytes, target: bytes, found: os.stat_result, depth: int) -> Steps:
        if not self._wish.recursive:
            self._report.failed(source, "is a directory; -r copies directories")
            return
        if depth > MAX_DEPTH:
            self._report.failed(source, f"more than {MAX_DEPTH} directories in one another; a link that leads back?")
            return
        names = os.listdir(source)
        mode = stat.S_IMODE(found.st_mode)
        answer = yield self._sftp.post(p.MKDIR, text(target), Attributes(mode=mode | stat.S_IRWXU).build())
        try:
            check(answer)
        except SftpError:
            if not is_directory((yield from found_at(self._sftp, target))):
                raise
        if self._wish.preserve:
            self.late.append((target, self._kept(found)))
        self._jobs.add(
            self._copy(
                os.path.join(source, name), os.path.join(target, name), follow=self._wish.follow, depth=depth + 1
            )
            for name in names
        )

    def _link(self, source: bytes, target: bytes) -> Steps:
        points_to = os.readlink(source)
        answer = yield self._sftp.post(p.SYMLINK, text(points_to), text(target))
        try:
            check(answer)
        except SftpError:
            found = yield from stat_of(self._sftp, target, follow=False)
            if stat.S_ISDIR(found.mode or 0):
                raise
            yield from self._sftp.ask(p.STATUS, p.REMOVE, text(target))
            yield from self._sftp.ask(p.STATUS, p.SYMLINK, text(points_to), text(target))
        self._report.files += 1

    def _kept(self, found: os.stat_result) -> bytes:
        times = whole_seconds(found.st_atime), whole_seconds(found.st_mtime)
        return Attributes(mode=stat.S_IMODE(found.st_mode), times=times).build()

    # ------------------------------------------------------------------ files

    def _file(self, source: bytes, target: bytes, found: os.stat_result) -> Steps:
        if self._wish.resume and (yield from self._is_there(target, found)):
            return
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # it may be a FIFO by now
        self._report.total += found.st_size
        try:
            if found.st_size > PART_ABOVE:
                yield from self._large(fd, source, target, found)
            else:
                handle = yield from self._sftp.open(target, _NEW, Attributes(mode=found.st_mode & 0o777).build())
                yield from self._write(fd, handle, 0, self._kept(found) if self._wish.preserve else None)
            self._report.files += 1
        finally:
            os.close(fd)

    def _is_there(self, target: bytes, found: os.stat_result) -> Generator[Ticket, Answer, bool]:
        there = yield from found_at(self._sftp, target)
        if there is None or there.size != found.st_size or there.times is None:
            return False
        return there.times[1] >= int(found.st_mtime)

    def _large(self, fd: int, source: bytes, target: bytes, found: os.stat_result) -> Steps:
        """Copies a file by way of a part file. Goes on with the part of a copy that was cut off."""
        there = yield from found_at(self._sftp, target, follow=False)
        mode = found.st_mode & 0o777 if there is None else stat.S_IMODE(there.mode or 0)
        if there is not None and not stat.S_ISREG(there.mode or 0):  # a link or a device stays what it is
            handle = yield from self._sftp.open(target, _NEW, NONE)
            yield from self._write(fd, handle, 0, self._kept(found) if self._wish.preserve else None)
            return
        part = part_of(target, found.st_size, found.st_mtime)
        done = yield from found_at(self._sftp, part, follow=False)
        offset = done.size if done is not None and stat.S_ISREG(done.mode or 0) and done.size is not None else 0
        offset = offset if offset <= found.st_size else 0
        flags = p.FOR_WRITING | p.CREATE | (0 if offset else p.TRUNCATE | (0 if done else p.EXCLUSIVE))
        try:
            handle = yield from self._sftp.open(part, flags, Attributes(mode=mode).build())
        except SftpError:
            if there is None:
                raise
            part, offset = target, 0  # the directory cannot be written, but the file perhaps can
            handle = yield from self._sftp.open(target, _NEW, NONE)
        if offset:
            self._report.note(source, f"goes on after {offset} bytes that were copied before")
            self._report.done += offset
        kept = self._kept(found) if self._wish.preserve else None if there is None else Attributes(mode=mode).build()
        yield from self._write(fd, handle, offset, kept)
        if part != target:
            yield from rename(self._sftp, part, target)

    def _write(self, fd: int, handle: bytes, offset: int, kept: bytes | None) -> Steps:
        """Writes a file from `offset` to its end, sets its attributes, and closes it. Raises SftpError and OSError."""
        sftp, pending = self._sftp, deque[Ticket]()
        try:
            while data := os.pread(fd, sftp.chunk, offset):
                while not sftp.may_post(len(pending)):
                    yield from self._taken(pending)
                pending.append(
                    sftp.post(p.WRITE, handle, struct.pack(">QI", offset, len(data)), data, size=len(data)),
                )
                offset += len(data)
            if kept is not None:
                pending.append(sftp.post(p.FSETSTAT, handle, kept))
        finally:
            closed = sftp.post(p.CLOSE, handle)
        while pending:
            yield from self._taken(pending)
        check((yield closed))

    def _taken(self, pending: deque[Ticket]) -> Steps:
        ticket = pending.popleft()
        check((yield ticket))
        self._report.done += ticket.size

"""Copies files, directories and links from the job to this machine."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from medusa.client.files.jobs import Jobs
from medusa.client.files.remote import listed, stat_of
from medusa.client.files.report import PART_ABOVE, Report, Wish, part_of
from medusa.client.files.sftp import Sftp, SftpError, Steps, Ticket, check
from medusa.client.files.upload import MAX_DEPTH
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import NONE, Attributes
from medusa.protocol.sftp.packets import text


class _Read(NamedTuple):
    """A part of a file that was asked for."""

    offset: int
    size: int
    ticket: Ticket


class Downloads:
    """The pieces of work that copy what the user has named from the job to this machine.

    Nothing is written through a symbolic link in a directory that is copied: the job may have made the link.
    """

    def __init__(self, sftp: Sftp, jobs: Jobs, wish: Wish, report: Report) -> None:
        self._sftp, self._jobs, self._wish, self._report = sftp, jobs, wish, report
        self._links: list[tuple[bytes, bytes]] = []
        self._late: list[tuple[bytes, Attributes]] = []

    def named(self, source: bytes, target: bytes) -> Steps:
        """Copies a source that the user has named. A symbolic link is followed."""
        yield from self._copy(source, target, None, follow=True, depth=0)

    def finish(self) -> Iterator[Steps]:
        """Yields the work that is left after all other: links, and the times and permissions of directories."""
        for source, target in self._links:
            yield self._link(source, target)
        yield self._set_late()

    def _set_late(self) -> Steps:
        for path, attributes in reversed(self._late):
            try:
                self._keep(path, attributes)
            except OSError as error:
                self._report.failed(path, error)
        return
        yield  # so that this is a generator, as all work is

    def _copy(self, source: bytes, target: bytes, known: Attributes | None, *, follow: bool, depth: int) -> Steps:
        try:
            found = known
            if found is None or found.mode is None or found.size is None or (follow and stat.S_ISLNK(found.mode)):
                found = yield from stat_of(self._sftp, source, follow=follow)
            mode = found.mode or 0
            if stat.S_ISREG(mode):
                yield from self._file(source, target, found, inside=depth > 0)
            elif stat.S_ISDIR(mode):
                yield from self._directory(source, target, found, depth)
            elif stat.S_ISLNK(mode):
                self._links.append((source, target))
            else:
                self._report.failed(source, "not a file, a directory or a link")
        except (OSError, SftpError) as error:
            self._report.failed(target if isinstance(error, OSError) else source, error)

    # ------------------------------------------------------------------ directories and links

    def _directory(self, source: bytes, target: bytes, found: Attributes, depth: int) -> Steps:
        if not self._wish.recursive:
            self._report.failed(source, "is a directory; -r copies directories")
            return
        if depth > MAX_DEPTH:
            self._report.failed(source, f"more than {MAX_DEPTH} directories in one another; a link that leads back?")
            return
        entries = yield from listed(self._sftp, source)
        try:
            os.mkdir(target, (found.mode or 0) & 0o777 | stat.S_IRWXU)
        except FileExistsError:
            there = os.stat(target, follow_symlinks=depth == 0)
            if not stat.S_ISDIR(there.st_mode):
                raise
        if self._wish.preserve:
            self._late.append((target, found))
        self._jobs.add(
            self._copy(
                os.path.join(source, entry.name),
                os.path.join(target, entry.name),
                entry.attributes,
                follow=self._wish.follow,
                depth=depth + 1,
            )
            for entry in entries
            if entry.name not in (b".", b"..")
        )

    def _link(self, source: bytes, target: bytes) -> Steps:
        try:
            fields = yield from self._sftp.ask(p.NAME, p.READLINK, text(source))
            fields.number()
            points_to = fields.text()
            try:
                os.symlink(points_to, target)
            except FileExistsError:
                os.unlink(target)
                os.symlink(points_to, target)
            self._report.files += 1
        except (OSError, SftpError, ValueError) as error:
            self._report.failed(target if isinstance(error, OSError) else source, error)

    def _keep(self, file: bytes | int, found: Attributes) -> None:
        if found.mode is not None:
            os.chmod(file, found.mode & 0o777)  # a job must not make programs that other users run in this user's name
        if found.times is not None:
            os.utime(file, found.times)

    # ------------------------------------------------------------------ files

    def _file(self, source: bytes, target: bytes, found: Attributes, *, inside: bool) -> Steps:
        size = found.size or 0
        if self._wish.resume and self._is_there(target, found):
            return
        self._report.total += size
        handle = yield from self._sftp.open(source, p.FOR_READING, NONE)
        part = None
        if size > PART_ABOVE and not os.path.islink(target) and (not os.path.exists(target) or os.path.isfile(target)):
            part = part_of(target, size, found.times[1] if found.times else 0)
        fd = -1
        try:
            fd, offset = self._open(source, target, part, found, inside=inside)
            yield from self._read(fd, handle, offset, size)
            if self._wish.preserve:
                self._keep(fd, found)
        except BaseException:
            self._sftp.post(p.CLOSE, handle)
            raise
        finally:
            if fd >= 0:
                os.close(fd)
        check((yield self._sftp.post(p.CLOSE, handle)))
        if part is not None:
            os.replace(part, target)
        self._report.files += 1

    def _is_there(self, target: bytes, found: Attributes) -> bool:
        try:
            there = os.stat(target)
        except OSError:
            return False
        same = stat.S_ISREG(there.st_mode) and there.st_size == found.size
        return same and found.times is not None and int(there.st_mtime) >= found.times[1]

    def _open(
        self, source: bytes, target: bytes, part: bytes | None, found: Attributes, *, inside: bool
    ) -> tuple[int, int]:
        """Opens the file to write. Returns its descriptor, and how many bytes of it a copy before has written."""
        mode = (found.mode or 0o666) & 0o777
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        if part is None:
            return _open_new(target, flags | os.O_TRUNC, mode, inside=inside), 0
        try:
            mode = stat.S_IMODE(os.stat(target).st_mode)
        except OSError:
            pass
        fd = os.open(part, flags | os.O_NOFOLLOW, mode | stat.S_IWUSR)
        done = os.fstat(fd).st_size
        if done > (found.size or 0):
            os.ftruncate(fd, 0)
            done = 0
        if done:
            self._report.note(source, f"goes on after {done} bytes that were copied before")
            self._report.done += done
        return fd, done

    def _read(self, fd: int, handle: bytes, done: int, size: int) -> Steps:
        """Reads a file from the byte `done` to its end, and writes it. Raises SftpError and OSError."""
        sftp, pending, asked, over = self._sftp, deque[_Read](), done, False
        while not over:
            while sftp.may_post(len(pending)) and (asked <= size or not pending):
                # One byte more than the file has tells with the last bytes that there are no others.
                wanted = size - asked + 1 if size > 0 and asked <= size else sftp.chunk
                pending.append(self._ask(handle, asked, min(sftp.chunk, wanted)))
                asked += pending[-1].size
            read = pending.popleft()
            try:
                data = check((yield read.ticket), p.DATA).view()
            except SftpError as error:
                if error.status != p.EOF:
                    raise
                break
            if len(data) > read.size:
                raise SftpError(p.FAILURE, "the SFTP server has sent more than it was asked for")
            os.pwrite(fd, data, read.offset) if data else None
            self._report.done += len(data)
            done = read.offset + len(data)
            over = len(data) < read.size and done >= size
            if len(data) < read.size and not over:
                pending.appendleft(self._ask(handle, done, read.size - len(data)))
        while pending:
            yield pending.popleft().ticket
        os.ftruncate(fd, done)

    def _ask(self, handle: bytes, offset: int, size: int) -> _Read:
        return _Read(offset, size, self._sftp.post(p.READ, handle, struct.pack(">QI", offset, size), size=size))


def _open_new(path: bytes, flags: int, mode: int, *, inside: bool) -> int:
    """Opens a file to write. If `inside`, a symbolic link at its place is replaced."""
    if not inside:
        return os.open(path, flags, mode)
    try:
        return os.open(path, flags | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    os.unlink(path)
    return os.open(path, flags | os.O_NOFOLLOW, mode)

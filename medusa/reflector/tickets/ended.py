"""Remembers which sessions have ended, so that the tickets of these sessions are refused.

Each ended session is remembered by a mark, which is a hash. If several reflectors share a directory, the marks are
there: see Marks in medusa.reflector.sessions.claims. Otherwise they are in this process, and in a file of --state-dir,
which several workers share.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from medusa.reflector.session_name import SessionName

log = structlog.get_logger(component="tickets")

MARKS_FILE = "ended-sessions"
"""The name of the file with the marks in --state-dir. Each line is the time of expiry, a space, and the mark."""

MAX_MARKS = 100_000
"""The most marks that are kept in memory and in the file. Beyond that, the oldest are dropped."""

_LINE = re.compile(r"([0-9]{1,12}) ([0-9a-f]{32})\Z")


def mark_of(name: SessionName, birth: str) -> str:
    """Returns the mark that names one session which has ended: 32 hexadecimal digits.

    `birth`: the random id that tells the session apart from others with the same name; see Ticket.
    """
    return hashlib.sha256(("medusa ended %s %s" % (birth, name)).encode()).hexdigest()[:32]


class EndedHere:
    """Remembers the sessions that have ended in one reflector, which shares its directory with no other.

    Args:
        folder: --state-dir; None to keep the marks in memory only.
        clock: returns seconds since 1970.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        self._path = folder / MARKS_FILE if folder is not None else None
        self._clock = clock
        self._marks: dict[str, int] = {}  # by mark: when it expires
        self._seen = (0, 0)  # the file that was read last, by its inode, and how many bytes of it
        self._state = (0, 0, 0)  # the file's inode, size and time when it was read last
        self._read()

    def add(self, mark: str, until: int) -> None:
        """Remembers, until the time `until`, that the session named by `mark` has ended. Raises nothing.

        If the file cannot be written, logs an error: a restart will forget the mark. `until`: in seconds since 1970.
        """
        self._marks[mark] = max(until, self._marks.get(mark, 0))
        if self._path is None:
            self._drop()
            return
        try:
            self._write(self._path, mark, until)
        except OSError as error:  # the session must end all the same
            log.error("mark not kept", path=str(self._path), error=error.strerror, advice="see --state-dir")

    def __contains__(self, mark: str) -> bool:
        """True if the session that `mark` names has ended. First reads what other workers have written to the file."""
        self._read()
        return self._marks.get(mark, 0) > self._clock()

    def _drop(self) -> bool:
        """Removes marks, the names of sessions that have ended, to free memory. Returns True if it has removed any.

        If at least half of the marks have expired, removes these. If more than MAX_MARKS are valid, removes all expired
        marks and the valid ones that expire first.
        """
        now = self._clock()
        live = {mark: until for mark, until in self._marks.items() if until > now}
        if 2 * len(live) > len(self._marks) and len(live) <= MAX_MARKS:
            return False
        self._marks = dict(sorted(live.items(), key=lambda item: item[1])[-MAX_MARKS:])
        return True

    def _read(self) -> None:
        """Adds the marks that were written to the file since this object last read it."""
        if self._path is None:
            return
        try:
            now = os.stat(self._path)
            state = (now.st_ino, now.st_size, now.st_mtime_ns)
            if state == self._state:
                return
            with open(self._path, "rb") as file:
                found, (known, offset) = os.fstat(file.fileno()), self._seen
                inode = found.st_ino  # a shorter file is another one, which has got the inode of an older one
                file.seek(offset if inode == known and found.st_size >= offset else 0)
                data = file.read()
                self._seen = (inode, file.tell())
            self._state = state  # if the file was written to meanwhile, it is not in this state any more
        except FileNotFoundError:
            return
        lines = map(_LINE.match, data.decode("ascii", "replace").splitlines())
        self._marks.update((line[2], int(line[1])) for line in lines if line is not None)

    def _write(self, path: Path, mark: str, until: int) -> None:
        with self._locked(path):
            self._read()
            if self._drop():
                self._rewrite(path)
            else:
                self._append(path, mark, until)

    def _append(self, path: Path, mark: str, until: int) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            file.write("%d %s\n" % (until, mark))

    def _rewrite(self, path: Path) -> None:
        draft = path.with_name(".%s.new" % path.name)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            file.writelines("%d %s\n" % (until, mark) for mark, until in self._marks.items())
        os.replace(draft, path)

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Returns a context manager that locks the file `path`. Waits while another worker has locked it.

        Each worker locks it for a short time only.
        """
        fd = os.open(path.with_name(".%s.lock" % path.name), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

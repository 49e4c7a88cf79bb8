"""The ledger is mlogin's undo log: it lists what the guard process must undo if mlogin is killed by SIGKILL.

mlogin sends each new entry to the guard, and removes the entry when mlogin itself has undone it. If mlogin is killed,
the guard undoes the entries that are left (medusa/client/cleanup/undo.py).

Launchers of other packages may use this module, see docs/launchers.md.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from medusa.client import processes
from medusa.client.cleanup.note import Note
from medusa.client.cleanup.undo import Entry, undo
from medusa.client.timeouts import Timeouts
from medusa.guard import Guard
from medusa.temporary import temporary_directory

__all__ = ["GRACE", "GuardPipe", "Ledger"]

GRACE = Timeouts.kill_grace
"""Seconds between SIGTERM and SIGKILL to a process group."""


class GuardPipe(Protocol):
    """The methods of medusa.guard.Guard that Ledger uses."""

    def record(self, line: str) -> None: ...

    def done(self) -> None: ...


class Ledger:
    """The undo log of this process: the list of what the guard process must undo if this process is killed.

    An entry has a kind and a value. Examples of kinds are `group` (a process group to end) and `directory` (a directory
    to remove).

    Args:
        guard: the pipe to the guard process. If it is None, nothing is undone when this process is killed.
        note: what the guard process writes to the terminal if this process is killed.
    """

    def __init__(self, guard: GuardPipe | None = None, note: Note | None = None) -> None:
        self._guard = guard
        self.note = note
        self._open: dict[Entry, None] = {}
        self._left: list[Entry] = []
        self._new: list[Entry] = []

    @contextlib.contextmanager
    def entry(self, kind: str, value: str) -> Iterator[None]:
        """Context manager that keeps an entry in the ledger during the `with` block.

        If mlogin is killed within the block, the guard process undoes what the entry describes. Otherwise the block
        itself must undo that, before its end.
        """
        self.add(kind, value)
        try:
            yield
        finally:
            self.remove(kind, value)

    def private_directory(self, parent: Path | None = None) -> contextlib.AbstractContextManager[Path]:
        """Returns a context manager that makes a directory for this user only, and yields its path.

        The directory and everything in it is removed after the `with` block. If mlogin ends inside the block, because
        the job goes on without it, the guard process removes the directory after the job's end.

        Args:
            parent: the directory in which to make it; None for the directory of temporary files.
        """
        path = os.path.join(os.path.realpath(parent or temporary_directory()), "medusa-" + os.urandom(4).hex())
        return _PrivateDirectory(self, path)

    def add(self, kind: str, value: str) -> None:
        """Adds an entry. Call this directly before, or directly after, the action that the entry will undo."""
        self._open[kind, value] = None
        self._write("+", kind, value)

    def remove(self, kind: str, value: str) -> None:
        """Removes an entry, if it is there. Call this after mlogin itself has undone what the entry describes."""
        if (kind, value) in self._open:
            del self._open[kind, value]
            self._write("-", kind, value)

    def replace(self, kind: str, value: str, new_kind: str) -> None:
        """Changes the kind of an entry from `kind` to `new_kind`. Does nothing if the entry is not there."""
        if (kind, value) in self._open:
            self.add(new_kind, value)
            self.remove(kind, value)

    @property
    def awaits(self) -> bool:
        """True if the guard process is to wait for the end of a job that goes on without mlogin."""
        return any(kind == "await" for kind, _ in self._open)

    def keep(self, leave: Callable[[], bool]) -> bool:
        """Calls `leave` and returns its result. Remembers which entries `leave` has removed and added.

        `leave` changes the entries so that a job goes on if mlogin dies. `end_kept` takes these changes back.
        """
        before = dict(self._open)
        kept = leave()
        self._left = [entry for entry in before if entry not in self._open]
        self._new = [entry for entry in self._open if entry not in before]
        return kept

    def end_kept(self) -> None:
        """Takes back the changes that `keep` has made.

        From now on the guard process ends the job again if mlogin dies.
        """
        for kind, value in self._left:
            self.add(kind, value)
        for kind, value in self._new:
            self.remove(kind, value)
        self._left, self._new = [], []

    def close(self) -> None:
        """Ends the guard process if no entry is left. Otherwise the guard undoes the entries when this process ends."""
        if self._guard is not None and not self._open:
            self._guard.done()

    def _write(self, sign: str, kind: str, value: str) -> None:
        if self._guard is not None:
            self._guard.record(json.dumps([sign, kind, value]))


class _PrivateDirectory(contextlib.AbstractContextManager[Path]):
    """A context manager that makes a private directory, and removes it after the `with` block.

    This is a class, because Python leaves the `with` block of a generator when Python ends. That would remove the
    directory although a job still needs it.
    """

    def __init__(self, ledger: Ledger, path: str) -> None:
        self._ledger, self._path = ledger, path

    def __enter__(self) -> Path:
        # First the entry: a kill right after mkdir must not leave the directory.
        self._ledger.add("directory", self._path)
        try:
            os.mkdir(self._path, 0o700)
        except BaseException:
            self._ledger.remove("directory", self._path)
            raise
        return Path(self._path)

    def __exit__(self, *exc: object) -> None:
        processes.remove_tree(self._path)
        self._ledger.remove("directory", self._path)


@contextlib.contextmanager
def guarded_ledger() -> Iterator[Ledger]:
    """Context manager that yields a ledger. In it, mlogin records what its guard process must undo.

    Enter it before there is anything to undo.
    """
    note = Note()
    guard = Guard.start(functools.partial(undo, note=note), keep_fds=[fd for fd in (0, 1) if os.isatty(fd)])
    ledger = Ledger(guard, note)
    try:
        yield ledger
    finally:
        ledger.close()

"""An undo log: what must be undone if mlogin is killed by a signal that cannot be caught. (The name `ledger` is public,
see docs/launchers.md.)

mlogin writes each entry to the guard process when it is made, and removes it when mlogin has undone it itself. If
mlogin is killed, the guard undoes what is left: first the modes of the terminal, then process groups, then what is on
other machines, by commands and by requests that were signed in advance, since the guard holds no key. Directories come
last: the commands may need what is in them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from medusa.client import processes
from medusa.client.cleanup import tty_modes
from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.timeouts import Timeouts

GRACE = Timeouts.kill_grace
"""Seconds between SIGTERM and SIGKILL to a process group."""

REQUEST_TIMEOUT = 20.0
"""Seconds that the guard waits for the answer to a request."""

Entry = tuple[str, str]
"""Kind and value:

tty        modes, as tty_modes.record makes them
group      the number of a process group
command    a JSON list of words
request    a SignedRequest as text
directory  a path
"""

COMMAND_TIMEOUT = 300.0
"""Seconds that the guard waits for the end of a command."""


class GuardPipe(Protocol):
    """What Ledger uses of medusa.guard.Guard."""

    def record(self, line: str) -> None: ...

    def done(self) -> None: ...


class Ledger:
    """The open entries of this process. Without a guard, nothing is undone if it is killed."""

    def __init__(self, guard: GuardPipe | None = None) -> None:
        self._guard = guard
        self._open: dict[Entry, None] = {}

    @contextlib.contextmanager
    def entry(self, kind: str, value: str) -> Iterator[None]:
        """Keeps an entry open during a block which itself undoes what the entry is for."""
        self.add(kind, value)
        try:
            yield
        finally:
            self.remove(kind, value)

    @contextlib.contextmanager
    def private_directory(self, parent: Path | None = None) -> Iterator[Path]:
        """Makes a directory that only this user can enter, and removes it with everything in it at the end.

        Args:
            parent: the directory to make it in; None for that of temporary files.
        """
        path = os.path.join(os.path.realpath(parent or tempfile.gettempdir()), "medusa-" + secrets.token_hex(4))
        with self.entry("directory", path):  # before it is made, so that no moment of a kill leaves it behind
            os.mkdir(path, 0o700)
            try:
                yield Path(path)
            finally:
                processes.remove_tree(path)

    def add(self, kind: str, value: str) -> None:
        """Opens an entry. Call this before, or directly after, what it would undo."""
        self._open[kind, value] = None
        self._write("+", kind, value)

    def remove(self, kind: str, value: str) -> None:
        """Closes an entry, after it was undone or needs no undoing any more. Idempotent."""
        if (kind, value) in self._open:
            del self._open[kind, value]
            self._write("-", kind, value)

    def close(self) -> None:
        """Ends the guard if no entry is open. Otherwise it acts on them when this process ends."""
        if self._guard is not None and not self._open:
            self._guard.done()

    def _write(self, sign: str, kind: str, value: str) -> None:
        if self._guard is not None:
            self._guard.record(json.dumps([sign, kind, value]))


def left_open(lines: Iterable[str]) -> list[Entry]:
    """The entries that were added and not removed, in order. A line that its writer's death cut short is skipped."""
    entries: dict[Entry, None] = {}
    for line in lines:
        try:
            sign, kind, value = json.loads(line)
        except ValueError:
            continue
        if sign == "+":
            entries[kind, value] = None
        else:
            entries.pop((kind, value), None)
    return list(entries)


def undo(lines: list[str], grace: float = GRACE) -> None:
    """Undoes what mlogin left open. Runs in the guard process after mlogin was killed.

    Args:
        lines: everything that the ledger wrote.
        grace: seconds between SIGTERM and SIGKILL to process groups.
    """
    entries = left_open(lines)
    for kind, value in entries:
        if kind == "tty":
            with contextlib.suppress(Exception):
                tty_modes.restore_if_unchanged(value)
    for kind, value in entries:
        if kind == "group":
            processes.stop_group(int(value), grace)
    for kind, value in entries:
        if kind == "command":
            with contextlib.suppress(Exception):
                subprocess.run(json.loads(value), stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT, check=False)
    for kind, value in entries:
        if kind == "request":
            with contextlib.suppress(Exception):
                SignedRequest.parse(value).send(REQUEST_TIMEOUT)
    for kind, value in entries:
        if kind == "directory":
            processes.remove_tree(value)

"""What must be undone if mlogin is killed by a signal that cannot be caught: kept by the guard process.

Each entry is told to the guard as it is made and taken back as it is undone in the ordinary way. When mlogin dies
without a word, the guard undoes what is left: the terminal's modes first, then process groups, then what stands
elsewhere, by commands and by requests that were signed in advance: it holds no key. Directories go last: commands may
need what is in them.
"""

from __future__ import annotations

import contextlib
import json
import os
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
"""Seconds a process group gets between SIGTERM and SIGKILL."""

REQUEST_TIMEOUT = 20.0
"""Seconds without an answer to a request."""

Entry = tuple[str, str]
"""Kind (`tty`, `group`, `command`, `request`, `directory`) and value. A command is a JSON list of words."""

COMMAND_TIMEOUT = 300.0
"""Seconds that a command may take."""


class Teller(Protocol):
    """What is used of medusa.guard.Guard."""

    def tell(self, line: str) -> None: ...

    def done(self) -> None: ...


class Ledger:
    """The open entries of this process. Without a guard they are only kept here."""

    def __init__(self, guard: Teller | None = None) -> None:
        self._guard = guard
        self._open: dict[Entry, None] = {}

    @contextlib.contextmanager
    def entry(self, kind: str, value: str) -> Iterator[None]:
        """Holds an entry open for a block that undoes it in the ordinary way before it ends."""
        self.add(kind, value)
        try:
            yield
        finally:
            self.remove(kind, value)

    @contextlib.contextmanager
    def private_directory(self, parent: Path | None = None) -> Iterator[Path]:
        """A directory that only this user can enter, removed with everything in it at the end.

        Args:
            parent: where; None for where temporary directories are.
        """
        path = os.path.realpath(tempfile.mkdtemp(prefix="medusa-", dir=parent))
        with self.entry("directory", path):
            try:
                yield Path(path)
            finally:
                processes.remove_tree(path)

    def add(self, kind: str, value: str) -> None:
        self._open[kind, value] = None
        self._tell("+", kind, value)

    def remove(self, kind: str, value: str) -> None:
        if (kind, value) in self._open:
            del self._open[kind, value]
            self._tell("-", kind, value)

    def close(self) -> None:
        """Releases the guard if nothing is left to undo; else it finds out by our end, and undoes it."""
        if self._guard is not None and not self._open:
            self._guard.done()

    def _tell(self, sign: str, kind: str, value: str) -> None:
        if self._guard is not None:
            self._guard.tell(json.dumps([sign, kind, value]))


def left_open(lines: Iterable[str]) -> list[Entry]:
    """The entries that were added and not removed, in order. A line cut short by the death of its writer is skipped."""
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
    """Runs in the guard process after mlogin was killed: undoes what its lines leave open."""
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

"""The ledger is mlogin's undo log: it lists what the guard process must undo if mlogin is killed by SIGKILL.

mlogin sends each new entry to the guard, and removes the entry when mlogin itself has undone it. If mlogin is killed,
the guard undoes the entries that are left, in this order:

1. It restores the modes of the terminal, and undoes what the session has switched on in the terminal emulator.
2. It ends process groups.
3. It runs commands and sends HTTP requests that remove things on other machines. The guard has no private key, so
   mlogin signs these requests in advance. At the same time the guard tells the agent that mlogin does not come back.
4. If a job goes on without mlogin and needs something on this machine, the guard waits for the end of that job.
5. It removes files and directories. They come last because the commands and the job may need files in them.
6. It tells the reflector that the job is over, if it has waited for that.

Launchers of other packages may use this module, see docs/launchers.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from medusa.client import processes
from medusa.client.cleanup import emulator, tty_modes
from medusa.client.cleanup.farewell import TIMEOUT, Farewell
from medusa.client.cleanup.note import Note
from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.timeouts import Timeouts

GRACE = Timeouts.kill_grace
"""Seconds between SIGTERM and SIGKILL to a process group."""

REQUEST_TIMEOUT = 20.0
"""Seconds that the guard process waits for the answer to an HTTP request."""

Entry = tuple[str, str]
"""An entry of the ledger: its kind and its value. The kinds and their values are:

tty        the terminal modes to restore, as text that tty_modes.record made
group      the number of the process group to end
command    the command to run, as a JSON list of words
request    the HTTP request to send, as text that SignedRequest.text made
await      the number of a process group that goes on: the guard waits for its end
after      the command to run after that, as a JSON list of words
over       what to tell the reflector after that, as text that Farewell.text made
farewell   what to tell the agent if mlogin has ended without a link, as text that Farewell.text made
directory  the path of the directory to remove
file       the path of the file to remove; also removes its directory if nothing else is in it
"""

COMMAND_TIMEOUT = 300.0
"""Seconds that the guard process waits for a command to end."""

OVER_TIMEOUT = 5.0
"""Seconds in which the guard process tries to tell the reflector that the job is over. Only lists depend on it."""


AWAIT_INTERVAL = 1.0
"""Seconds between two checks by the guard process whether a job that goes on has ended."""


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
        path = os.path.join(os.path.realpath(parent or tempfile.gettempdir()), "medusa-" + secrets.token_hex(4))
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


def left_open(lines: Iterable[str]) -> list[Entry]:
    """Reads the lines that a ledger wrote. Returns the entries that were added and not removed later, oldest first.

    Skips an incomplete line: mlogin may be killed while it writes one.
    """
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


def undo(lines: list[str], grace: float = GRACE, note: Note | None = None, interval: float = AWAIT_INTERVAL) -> None:
    """Undoes the entries that mlogin has not removed. Runs in the guard process after mlogin was killed.

    Args:
        lines: all lines that mlogin's ledger sent to the guard.
        grace: seconds between SIGTERM and SIGKILL to a process group.
        note: what to write to the terminal; None to write nothing.
        interval: seconds between two checks for the end of a process group (entries `await`).
    """
    entries = left_open(lines)
    for kind, value in entries:
        if kind == "tty":
            with contextlib.suppress(Exception):
                tty_modes.restore_if_unchanged(value)
    if note is not None:
        emulator.write_undo(1, note)
    with _farewells([value for kind, value in entries if kind == "farewell"]):
        for kind, value in entries:
            if kind == "group":
                processes.stop_group(int(value), grace)
        _run_all("command", entries)
        for kind, value in entries:
            if kind == "request":
                with contextlib.suppress(Exception):
                    SignedRequest.parse(value).send(REQUEST_TIMEOUT)
    _await_ends([int(value) for kind, value in entries if kind == "await"], interval)
    _run_all("after", entries)
    for kind, value in entries:
        _remove(kind, value)
    with _farewells([value for kind, value in entries if kind == "over"], OVER_TIMEOUT):
        pass


def _run_all(wanted: str, entries: Iterable[Entry]) -> None:
    for kind, value in entries:
        if kind == wanted:
            with contextlib.suppress(Exception):
                subprocess.run(json.loads(value), stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT, check=False)


def _await_ends(groups: Sequence[int], interval: float) -> None:
    """Waits until all these process groups have ended, and checks every `interval` seconds.

    Before that, replaces the descriptors of the terminal by /dev/null, so that the user can close the terminal.
    """
    if groups:
        with open(os.devnull, "r+b", buffering=0) as null:
            for fd in (0, 1):
                os.dup2(null.fileno(), fd)
    for group in groups:
        _await_leader(group)
        while processes.group_exists(group):
            time.sleep(interval)


@contextlib.contextmanager
def _farewells(texts: Iterable[str], timeout: float = TIMEOUT) -> Iterator[None]:
    """Context manager that tells agents, in threads, that mlogin does not come back.

    The threads start before the `with` block. After the block, it waits for their end.

    Args:
        texts: a text for each agent, in the form of Farewell.text.
        timeout: seconds after which it gives up.
    """

    def say(text: str) -> None:
        with contextlib.suppress(Exception):
            Farewell.parse(text).say(timeout)

    threads = [threading.Thread(target=say, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def _await_leader(group: int) -> None:
    """Waits for the end of the first process of a process group. Returns at once if the system has no call for that."""
    with contextlib.suppress(AttributeError, OSError):
        fd = os.pidfd_open(group)  # type: ignore[attr-defined,unused-ignore]
        try:
            select.select([fd], [], [])
        finally:
            os.close(fd)


def _remove(kind: str, path: str) -> None:
    if kind == "directory":
        processes.remove_tree(path)
    elif kind == "file":
        with contextlib.suppress(OSError):
            os.unlink(path)
            os.rmdir(os.path.dirname(path))  # fails if something else is in it

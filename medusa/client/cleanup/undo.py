"""Undoes what a killed mlogin has left. Runs in mlogin's guard process.

The guard undoes the entries that are left in mlogin's ledger, in this order:

1. It restores the modes of the terminal, and undoes what the session has switched on in the terminal emulator.
2. It ends process groups.
3. It runs commands and sends HTTP requests that remove things on other machines. The guard has no private key, so
   mlogin signs these requests in advance. At the same time the guard tells the agent that mlogin does not come back.
4. If a job goes on without mlogin and needs something on this machine, the guard waits for the end of that job.
5. It removes files and directories. They come last because the commands and the job may need files in them.
6. It tells the reflector that the job is over, if it has waited for that.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from medusa.client import processes
from medusa.client.cleanup import tty_modes
from medusa.client.cleanup.note import Note
from medusa.client.timeouts import FAREWELL_TIMEOUT, Timeouts

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

REQUEST_TIMEOUT = 20.0
"""Seconds that the guard process waits for the answer to an HTTP request."""

COMMAND_TIMEOUT = 300.0
"""Seconds that the guard process waits for a command to end."""

OVER_TIMEOUT = 5.0
"""Seconds in which the guard process tries to tell the reflector that the job is over. Only lists depend on it."""


AWAIT_INTERVAL = 1.0
"""Seconds between two checks by the guard process whether a job that goes on has ended."""


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


def undo(
    lines: list[str],
    grace: float = Timeouts.kill_grace,
    note: Note | None = None,
    interval: float = AWAIT_INTERVAL,
) -> None:
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
        from medusa.client.cleanup import emulator  # takes long to import

        emulator.write_undo(1, note)
    with _farewells([value for kind, value in entries if kind == "farewell"]):
        for kind, value in entries:
            if kind == "group":
                processes.stop_group(int(value), grace)
        _run_all("command", entries)
        for kind, value in entries:
            if kind == "request":
                with contextlib.suppress(Exception):
                    from medusa.client.cleanup.signed_request import SignedRequest  # it imports ssl, which takes long

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
def _farewells(texts: Iterable[str], timeout: float = FAREWELL_TIMEOUT) -> Iterator[None]:
    """Context manager that tells agents, in threads, that mlogin does not come back.

    The threads start before the `with` block. After the block, it waits for their end.

    Args:
        texts: a text for each agent, in the form of Farewell.text.
        timeout: seconds after which it gives up.
    """

    def say(text: str) -> None:
        with contextlib.suppress(Exception):
            from medusa.client.cleanup.farewell import Farewell  # takes long to import

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

"""Child processes and their leavings: directory trees, process groups, tails of logs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from medusa import process_table
from medusa.client.outcome import signal_name
from medusa.protocol.printable import printable

_PAUSE = 0.02
"""Seconds between two looks at a process group, as nothing tells a process that is not the parent; or two tries."""

KILL_PATIENCE = 3.0
"""Seconds until SIGKILL has taken effect; in an uninterruptible call it does not."""

_TAIL_BYTES = 4096

_TRIES = 5
"""Of removing a tree: somebody may make a file in a directory that is being emptied."""


def remove_tree(path: str) -> None:
    """Removes a directory and what is in it, also what its owner made read-only; never follows a symlink out of it."""
    for _ in range(_TRIES):
        _try_to_remove_tree(path)
        if not os.path.lexists(path):
            return
        time.sleep(_PAUSE)


def _try_to_remove_tree(path: str) -> None:
    _open_up(path)
    # Top-down: a directory is opened up before it is looked into.
    for directory, names, _ in os.walk(path):
        for name in names:
            _open_up(os.path.join(directory, name))
    shutil.rmtree(path, ignore_errors=True)


def _open_up(directory: str) -> None:
    if not os.path.islink(directory):
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)


def group_exists(group: int) -> bool:
    """Whether a live process of the group is left. Where /proc does not tell, zombies count as alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Orphans are reaped by who adopts them, in a container perhaps late or never.
    alive = [process.alive for process in process_table.processes() or () if process.group == group]
    return not alive or any(alive)


def stop_group(group: int, grace: float, reap: Callable[[], object] = lambda: None) -> None:
    """Ends every process of the group: SIGTERM, then SIGKILL to what is left after `grace` seconds. Waits for the end.

    Args:
        reap: called after each look; the parent of the group's leader waits for it there.
    """
    for signum, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_PATIENCE)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signum)
            # A stopped process acts on SIGTERM only when it runs again.
            os.killpg(group, signal.SIGCONT)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            gone = not group_exists(group)
            reap()
            if gone:
                return
            time.sleep(_PAUSE)


def ended(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode < 0:
        return f"killed by {signal_name(-returncode)}"
    return f"ended with status {returncode}"


def wait_quietly(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Whether the process ended within `patience` seconds."""
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return False
    return True


def tail(path: Path, lines: int = 10) -> list[str]:
    """The last lines of a log, safe to show."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [printable(line) for line in text.splitlines()[-lines:]]

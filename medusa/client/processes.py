"""Child processes and what they leave: directory trees, process groups, logs."""

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
from medusa.protocol.printable import printable
from medusa.signal_pipe import signal_name

_POLL_INTERVAL = 0.02
"""Seconds between two looks at a process group, whose end only its parent is told of; or between two tries."""

KILL_TIMEOUT = 3.0
"""Seconds to wait for the effect of SIGKILL, which a process in an uninterruptible call does not feel."""

_TAIL_SIZE = 4096
"""Bytes at the end of a log that are read."""

_TRIES = 5
"""How often a tree is removed: a process may make a file in a directory that is being emptied."""


def remove_tree(path: str) -> None:
    """Removes a directory and what is in it, read-only directories too. Never follows a symlink out of it."""
    for _ in range(_TRIES):
        _try_to_remove_tree(path)
        if not os.path.lexists(path):
            return
        time.sleep(_POLL_INTERVAL)


def _try_to_remove_tree(path: str) -> None:
    _make_accessible(path)
    # Top-down: each directory is made accessible before it is listed.
    for directory, names, _ in os.walk(path):
        for name in names:
            _make_accessible(os.path.join(directory, name))
    shutil.rmtree(path, ignore_errors=True)


def _make_accessible(directory: str) -> None:
    if not os.path.islink(directory):
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)


def group_exists(group: int) -> bool:
    """Whether a live process of the group is left. Without a usable /proc, zombies count as alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Orphans become zombies until init reaps them, which in a container may be late or never.
    alive = [process.alive for process in process_table.processes() or () if process.group == group]
    return not alive or any(alive)


def stop_group(group: int, grace: float, reap: Callable[[], object] = lambda: None) -> None:
    """Ends every process of the group and waits for that: SIGTERM, then SIGKILL to those left after `grace` seconds.

    Args:
        reap: called after each look. The parent of the group's leader must reap the leader in it.
    """
    for signum, timeout in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_TIMEOUT)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signum)
            # A stopped process acts on SIGTERM only after it continues.
            os.killpg(group, signal.SIGCONT)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            gone = not group_exists(group)
            reap()
            if gone:
                return
            time.sleep(_POLL_INTERVAL)


def ended(returncode: int) -> str:
    """How a process ended, in words, by subprocess.Popen.returncode."""
    if returncode < 0:
        return f"killed by {signal_name(-returncode)}"
    return f"ended with status {returncode}"


def wait_quietly(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Waits up to `timeout` seconds. Returns whether the process has ended."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True


def tail(path: Path, lines: int = 10) -> list[str]:
    """The last lines of a log, safe to show; none if it cannot be read."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_SIZE))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [printable(line) for line in text.splitlines()[-lines:]]

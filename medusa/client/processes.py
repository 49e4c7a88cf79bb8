"""Helpers for child processes and their traces: end process groups, remove directory trees, read the end of a log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from medusa import process_table
from medusa.protocol.printable import printable
from medusa.signal_pipe import signal_name

_POLL_INTERVAL = 0.02
"""Seconds between two checks for whether a process group has ended, and between two tries to remove a tree."""

KILL_TIMEOUT = 3.0
"""Seconds to wait after SIGKILL. A process in an uninterruptible system call does not end until the call does."""

_TAIL_SIZE = 4096
"""`tail` reads this many bytes at the end of a log."""

_TRIES = 5
"""How often to try to remove a tree. A try fails if a process creates a file in the tree meanwhile."""


def remove_tree(path: str) -> None:
    """Removes a directory and everything in it, also read-only directories. Never follows symlinks.

    If the removal fails, returns without an error.
    """
    for _ in range(_TRIES):
        _try_to_remove_tree(path)
        if not os.path.lexists(path):
            return
        time.sleep(_POLL_INTERVAL)


def _try_to_remove_tree(path: str) -> None:
    import shutil  # takes long to import

    _make_accessible(path)
    # os.walk goes from the top down, so each directory is made accessible before it is listed.
    for directory, names, _ in os.walk(path):
        for name in names:
            _make_accessible(os.path.join(directory, name))
    shutil.rmtree(path, ignore_errors=True)


def _make_accessible(directory: str) -> None:
    if not os.path.islink(directory):
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)


def group_exists(group: int) -> bool:
    """Returns True if a process of the group `group` is alive. If /proc cannot be read, zombies count as alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # An orphan that has ended stays a zombie until init reaps it. In a container that may be late or never.
    alive = [process.alive for process in process_table.processes() or () if process.group == group]
    return not alive or any(alive)


def stop_group(group: int, grace: float, reap: Callable[[], object] = lambda: None) -> None:
    """Ends a process group: sends SIGTERM, and after `grace` seconds SIGKILL if the group still exists.

    Returns when the group has ended, or KILL_TIMEOUT seconds after SIGKILL.

    Args:
        group: the number of the process group.
        grace: seconds between SIGTERM and SIGKILL.
        reap: a function that is called again and again during the wait. If the group's leader is a child of this
            process, `reap` must collect its exit status without blocking (as Popen.poll does).
    """
    for signum, timeout in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_TIMEOUT)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signum)
            # A stopped process acts on SIGTERM only after SIGCONT.
            os.killpg(group, signal.SIGCONT)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            gone = not group_exists(group)
            reap()
            if gone:
                return
            time.sleep(_POLL_INTERVAL)


def ended(returncode: int) -> str:
    """Returns words for how a process ended, such as `killed by SIGTERM` or `ended with status 1`.

    Args:
        returncode: the process's returncode, as in subprocess.Popen: negative for a signal.
    """
    if returncode < 0:
        return f"killed by {signal_name(-returncode)}"
    return f"ended with status {returncode}"


def wait_quietly(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Waits up to `timeout` seconds for the end of `process`. Returns True if it has ended."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True


def tail(path: Path, lines: int = 10) -> list[str]:
    """Returns the last lines of the log at `path`, with unprintable characters escaped.

    Returns no lines if the log cannot be read. `lines`: how many lines at most.
    """
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_SIZE))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [printable(line) for line in text.splitlines()[-lines:]]

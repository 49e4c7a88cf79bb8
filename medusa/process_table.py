"""The machine's processes: a reading of /proc, once."""

from __future__ import annotations

import os
import struct
from typing import List, NamedTuple, Optional

PROC = "/proc"


class Process(NamedTuple):
    """One process.

    Attributes:
        pid, parent, group, session: as ps(1) names them: PID, PPID, PGID, SID.
        alive: False for a zombie.
    """

    pid: int
    parent: int
    group: int
    session: int
    alive: bool = True


def processes(proc: str = PROC) -> Optional[List[Process]]:
    """All processes, zombies too; None if /proc is missing or not of a kind that is known here (Linux, illumos)."""
    try:
        pids = [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return None
    found = [process for process in (_read(os.path.join(proc, pid)) for pid in pids) if process is not None]
    # A /proc in which this process is missing is of another kind, or another container's.
    return found if any(process.pid == os.getpid() for process in found) else None


def _read(directory: str) -> Optional[Process]:
    try:
        with open(os.path.join(directory, "stat"), "rb") as file:
            # pid (name) state ppid pgrp session ... num_threads; the name may hold anything, parentheses too
            fields = file.read().rpartition(b")")[2].split()
        # A process whose first thread has ended is shown as a zombie while other threads still run.
        alive = fields[0] not in (b"Z", b"X") or int(fields[17]) > 1
        return Process(int(os.path.basename(directory)), int(fields[1]), int(fields[2]), int(fields[3]), alive)
    except FileNotFoundError:
        return _read_psinfo(directory)
    except (OSError, IndexError, ValueError):
        return None


def _read_psinfo(directory: str) -> Optional[Process]:
    """illumos, proc(5): struct psinfo begins with pr_flag, pr_nlwp (0 for a zombie), pid, ppid, pgid, sid."""
    try:
        with open(os.path.join(directory, "psinfo"), "rb") as file:
            _, threads, pid, parent, group, session = struct.unpack("6i", file.read(24))
        return Process(pid, parent, group, session, threads > 0)
    except (OSError, struct.error):
        return None

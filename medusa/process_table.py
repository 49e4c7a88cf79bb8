"""Reads the machine's processes from /proc."""

from __future__ import annotations

import os
import struct
from typing import Dict, List, NamedTuple, Optional, Set

PROC = "/proc"


class Process(NamedTuple):
    """One process of the machine.

    Attributes:
        pid, parent, group, session: the ids that ps(1) shows as PID, PPID, PGID and SID.
        alive: False if the process is a zombie.
    """

    pid: int
    parent: int
    group: int
    session: int
    alive: bool = True


def processes(proc: str = PROC) -> Optional[List[Process]]:
    """Returns all processes, including zombies; None if the system has no /proc like that of Linux or illumos."""
    try:
        pids = [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return None
    found = [process for process in (_read(os.path.join(proc, pid)) for pid in pids) if process is not None]
    # If this process is missing in /proc, then this is the /proc of an unknown system or of another container.
    return found if os.getpid() in [process.pid for process in found] else None


def own_children() -> Optional[Set[int]]:
    """Returns the pids of this process's children, including zombies. Returns None if the system does not list them.

    A child may be missing if another child ends during the call. Only the main thread may call this function. It is
    fast.
    """
    pid = os.getpid()
    try:
        with open("%s/%d/task/%d/children" % (PROC, pid, pid), "rb") as file:
            return {int(word) for word in file.read().split()}
    except OSError:
        return None


def controlled_by(terminal: int, proc: str = PROC) -> Dict[int, int]:
    """Returns a dict of the processes that have `terminal` as their controlling terminal. Works on Linux only.

    A key is the pid of a process. Its value is the id of the terminal's foreground process group. Leaves out processes
    in other containers: a terminal there may have the same device number.

    Args:
        terminal: the terminal's device number, such as os.fstat(0).st_rdev.
    """
    found, mine = {}, _mounts(os.path.join(proc, "self"))
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            with open(os.path.join(proc, pid, "stat"), "rb") as file:
                number, foreground = map(int, file.read().rpartition(b")")[2].split()[4:6])
        except (OSError, ValueError):
            continue  # the process has ended
        same = number and os.makedev(number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00) == terminal
        if same and _mounts(os.path.join(proc, pid)) in ("", mine):
            found[int(pid)] = foreground
    return found


def _mounts(directory: str) -> str:
    """Returns the name of a process's mount namespace; "" if it is unknown, as that of another user's process."""
    try:
        return os.readlink(os.path.join(directory, "ns", "mnt"))
    except OSError:
        return ""


def _read(directory: str) -> Optional[Process]:
    try:
        # pid (name) state ppid pgrp session ... num_threads; the name may contain any bytes, even parentheses
        fields = _content(directory + "/stat").rpartition(b")")[2].split()
        # A process whose first thread has ended has the state of a zombie while other threads still run.
        alive = fields[0] not in (b"Z", b"X") or int(fields[17]) > 1
        return Process(int(os.path.basename(directory)), int(fields[1]), int(fields[2]), int(fields[3]), alive)
    except FileNotFoundError:
        return _read_psinfo(directory)
    except (OSError, IndexError, ValueError):
        return None


def _content(path: str) -> bytes:
    """Returns the beginning of a file: 4 KiB. A file object would make three times as many system calls."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _read_psinfo(directory: str) -> Optional[Process]:
    """Returns the process of one directory in the /proc of illumos; None if it cannot be read.

    By proc(5), struct psinfo begins with pr_flag, pr_nlwp (0 for a zombie), pid, ppid, pgid, sid.
    """
    try:
        _, threads, pid, parent, group, session = struct.unpack("6i", _content(directory + "/psinfo")[:24])
        return Process(pid, parent, group, session, threads > 0)
    except (OSError, struct.error):
        return None

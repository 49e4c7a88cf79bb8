"""Every process of a session, in the kernel's sense, and their end: SIGHUP, a grace, SIGKILL.

A shell gives each of its jobs a process group of its own, so killing one group is not enough; what was started with
nohup ignores SIGHUP, so asking is not enough.
"""

from __future__ import annotations

import os
import signal
import struct
import time
from typing import Iterable, List, Optional, Set

PROC = "/proc"
GRACE = 2.0
"""Seconds between SIGHUP and SIGKILL."""
TICK = 0.02
KILL_PATIENCE = 1.0
"""Seconds for killed processes to vanish; one in an uninterruptible call may not."""
_TELLS = "session "
_FORGETS = "ended "


def members(session: int, proc: str = PROC) -> Optional[Set[int]]:
    """The live processes of `session`, zombies left out; None where /proc does not tell."""
    try:
        names = os.listdir(proc)
    except OSError:
        return None
    if _session_of(os.path.join(proc, str(os.getpid()))) is None:
        return None  # a /proc of some other shape, or none of ours
    pids = [name for name in names if name.isdigit()]
    return {int(pid) for pid in pids if _session_of(os.path.join(proc, pid)) == session}


def _session_of(directory: str) -> Optional[int]:
    try:
        with open(os.path.join(directory, "stat"), "rb") as file:
            # pid (name) state ppid pgrp session ...; the name may hold anything, also parentheses
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[3])
    except FileNotFoundError:
        return _session_of_illumos(directory)
    except (OSError, IndexError, ValueError):
        return None


def _session_of_illumos(directory: str) -> Optional[int]:
    """proc(4): struct psinfo begins with flag, lwps (0 for a zombie), pid, ppid, pgid, sid."""
    try:
        with open(os.path.join(directory, "psinfo"), "rb") as file:
            fields = struct.unpack("6i", file.read(24))
        return int(fields[5]) if fields[1] else None
    except (OSError, struct.error):
        return None


def send(number: int, session: int, groups: Iterable[int] = (), proc: str = PROC) -> bool:
    """Signal every process of `session`; whether any is left. Without /proc: its leader's group and `groups`."""
    found = members(session, proc)
    if found is not None:
        for pid in found:
            _kill(pid, number)
        return bool(found)
    reached = [_killpg(group, number) for group in {session, *groups}]
    return any(reached)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # gone meanwhile, or another user's: a set-uid program


def _killpg(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


class Ending:
    """The end of one session, step by step for a loop that must not block.

    Args:
        groups: further process groups, the terminal's foreground one, for systems without /proc.
    """

    def __init__(self, session: int, groups: Iterable[int], now: float, grace: float = GRACE, proc: str = PROC) -> None:
        self._session = session
        self._groups = tuple(groups)
        self._proc = proc
        self._kill_at = now + grace
        self.done = not self._send(signal.SIGHUP)
        if not self.done:
            self._send(signal.SIGCONT)  # a stopped process would get its SIGHUP never

    def step(self, now: float) -> bool:
        """Look again; whether the end is reached. Call every TICK seconds."""
        if self.done:
            return True
        if now < self._kill_at:
            self.done = not self._send(0)
        else:
            # Again and again: a process may fork while its family is being listed.
            self.done = not self._send(signal.SIGKILL) or now >= self._kill_at + KILL_PATIENCE
        return self.done

    def _send(self, number: int) -> bool:
        return send(number, self._session, self._groups, self._proc)


def end(session: int, grace: float = GRACE) -> None:
    """End a session and wait for it."""
    ending = Ending(session, (), time.monotonic(), grace)
    while not ending.step(time.monotonic()):
        time.sleep(TICK)


def tell_session(session: int) -> str:
    """The line for a guard: this session must not outlive its owner."""
    return "%s%d" % (_TELLS, session)


def tell_ended(session: int) -> str:
    """The line for a guard: that session is over, its number may become another's."""
    return "%s%d" % (_FORGETS, session)


def end_told(lines: List[str], grace: float = GRACE) -> None:
    """A guard's cleanup: end each session that was told and not taken back."""
    for session in live_sessions(lines):
        end(session, grace)


def live_sessions(lines: Iterable[str]) -> List[int]:
    """The sessions told and not ended, in order."""
    live: List[int] = []
    for line in lines:
        if line.startswith(_TELLS):
            live.append(int(line[len(_TELLS) :]))
        elif line.startswith(_FORGETS):
            live = [session for session in live if session != int(line[len(_FORGETS) :])]
    return live

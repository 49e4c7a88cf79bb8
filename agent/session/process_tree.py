"""Every process that a session has brought about, and their end: SIGHUP, a grace, SIGKILL.

A shell gives each of its jobs a process group of its own, so killing one group is not enough; what was started with
nohup ignores SIGHUP, so asking is not enough.
"""

from __future__ import annotations

import math
import os
import signal
import time
from typing import Iterable, List, Optional, Set

from medusa.process_table import PROC, Process, processes

GRACE = 2.0
"""Seconds between SIGHUP and SIGKILL."""
TICK = 0.02
KILL_PATIENCE = 1.0
"""Seconds for killed processes to vanish; one in an uninterruptible call may not."""
_TELLS = "session "
_FORGETS = "ended "


def children(parent: int, proc: str = PROC) -> Set[int]:
    """The live children of a process, as far as can be told."""
    return {process.pid for process in processes(proc) or () if process.alive and process.parent == parent}


class Family:
    """The processes of one session, and what has left the session but not the family.

    Args:
        groups: process groups to signal on systems without /proc, beside that of the session's leader.
        adopter: a process that inherits orphans (see ptychild.adopt_orphans); its children count, but for
        spared: children that it had before the session.
    """

    def __init__(
        self,
        session: int,
        groups: Iterable[int] = (),
        adopter: Optional[int] = None,
        spared: Iterable[int] = (),
        proc: str = PROC,
    ) -> None:
        self.session = session
        self._groups = {session, *groups}
        self._adopter = adopter
        self._spared = frozenset(spared)
        self._proc = proc

    def members(self) -> Optional[Set[int]]:
        """The live ones; None where /proc does not tell."""
        found = processes(self._proc)
        return None if found is None else {process.pid for process in found if self._counts(process)}

    def _counts(self, process: Process) -> bool:
        orphan = process.parent == self._adopter and process.pid not in self._spared
        return process.alive and (process.session == self.session or orphan)

    def send(self, number: int) -> bool:
        """Signal all of them; whether there was one."""
        found = self.members()
        if found is not None:
            for pid in found:
                _kill(pid, number)
            return bool(found)
        reached = [group for group in self._groups if _killpg(group, number)]
        return bool(reached)


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
    """The end of a family, step by step for a loop that must not block. Begins with SIGHUP.

    Attributes:
        done: nobody is left, or whoever is left cannot be killed.
    """

    def __init__(self, members: Family, now: float, grace: float = GRACE) -> None:
        self._family = members
        self._kill_at, self._give_up_at = now + grace, math.inf
        self.done = not self._send(signal.SIGHUP)
        if not self.done:
            members.send(signal.SIGCONT)  # a stopped process would get its SIGHUP never

    def step(self, now: float) -> bool:
        """Look again; whether the end is reached. Call every TICK seconds."""
        if self.done:
            return True
        if now < self._kill_at:
            self.done = not self._send(0)
        else:
            # Again and again: a process may fork while its family is being listed.
            self._give_up_at = min(self._give_up_at, now + KILL_PATIENCE)
            self.done = not self._send(signal.SIGKILL) or now >= self._give_up_at
        return self.done

    def _send(self, number: int) -> bool:
        # Twice before nobody is left: a listing is not of one moment, and who is adopted during it may be missed.
        return self._family.send(number) or self._family.send(number)


def end(members: Family, grace: float = GRACE) -> None:
    """End a family and wait for it."""
    ending = Ending(members, time.monotonic(), grace)
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
        end(Family(session), grace)


def live_sessions(lines: Iterable[str]) -> List[int]:
    """The sessions told and not ended, in order."""
    live: List[int] = []
    for line in lines:
        if line.startswith(_TELLS):
            live.append(int(line[len(_TELLS) :]))
        elif line.startswith(_FORGETS):
            live = [session for session in live if session != int(line[len(_FORGETS) :])]
    return live

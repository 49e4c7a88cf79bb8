"""Finds all processes of a command, and ends them: sends SIGHUP, and after some seconds SIGKILL.

It is not enough to signal one process group, because a shell gives each of its jobs a group of its own. SIGHUP is not
enough either, because nohup makes a program ignore it.
"""

from __future__ import annotations

import math
import os
import re
import signal
import time
from typing import Container, Dict, Iterable, List, Optional, Set, Tuple

from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.process_table import PROC, Process, processes

MAX_LISTINGS = 10
"""The most times that the processes of a tree are listed and stopped. They are listed again if there were new ones."""

GUEST = "guest"
"""The line to record in a guard (helper process) if processes that made themselves daemons are left alone."""

_TERMINALS = {5, *range(136, 144)}
"""The major device numbers of terminals: /dev/tty, /dev/pts/0 and so on."""

_STARTED = "session "
_ENDED = "ended "


def children(parent: int, proc: str = PROC) -> Set[int]:
    """Returns the pids of the live children of a process; an empty set if /proc cannot be read."""
    return {process.pid for process in processes(proc) or () if process.alive and process.parent == parent}


def ignores_hangup(pid: int, proc: str = PROC) -> bool:
    """True if the process ignores SIGHUP, as after nohup. False if the system cannot tell."""
    try:
        with open("%s/%d/status" % (proc, pid), "rb") as file:
            found = re.search(rb"\nSigIgn:\s*([0-9a-f]+)", file.read())
    except OSError:
        return False
    return found is not None and bool(int(found.group(1), 16) >> (signal.SIGHUP - 1) & 1)


def holds(pid: int, files: Container[Tuple[int, int]], proc: str = PROC) -> bool:
    """True if stdin, stdout or stderr of the process is a terminal or one of `files`, or if the system cannot tell.

    Args:
        files: device and inode number (os.fstat) of each.
    """
    for fd in range(3):
        try:
            found = os.stat("%s/%d/fd/%d" % (proc, pid, fd))
        except FileNotFoundError:
            continue
        except OSError:
            return True
        if (found.st_dev, found.st_ino) in files or os.major(found.st_rdev) in _TERMINALS:
            return True
    return False


class ProcessTree:
    """The live processes of some kernel sessions, those that the agent has adopted, and the descendants of all these.

    A process that was found once remains in the tree if its parent ends and this process (the agent) adopts it.

    Args:
        sessions: the sessions' ids, which are the pids of their leaders.
        groups: process groups to signal on a system without /proc, besides the groups of the leaders.
        adopter: the pid of the process that adopts orphans (see inherited.adopt_orphans). Its children belong to the
            tree.
        spared: the pids of the children that the adopter had before the sessions. They do not belong to the tree.
        guest: True to leave daemons out. Then only processes in these sessions belong to the tree, except those that
            ignore SIGHUP.
        pipes: if given, only the leaders belong to the tree, and processes whose stdin, stdout or stderr is one of
            these pipes or a terminal. The others have been put into the background.
        proc: the directory /proc, or a substitute for tests.
    """

    def __init__(
        self,
        sessions: Iterable[int],
        groups: Iterable[int] = (),
        adopter: Optional[int] = None,
        spared: Iterable[int] = (),
        proc: str = PROC,
        *,
        guest: bool = False,
        pipes: Optional[Container[Tuple[int, int]]] = None,
    ) -> None:
        self._sessions = frozenset(sessions)
        self._groups = {*self._sessions, *groups}
        self._adopter = adopter
        self._spared = frozenset(spared)
        self._proc, self._guest, self._pipes = proc, guest, pipes
        self._found: Set[int] = set()

    def members(self) -> Optional[Set[int]]:
        """Returns the pids of the live processes in the tree, or None if /proc cannot be read."""
        found = processes(self._proc)
        if found is None:
            return None
        if self._guest:
            mine = (process.pid for process in found if process.alive and process.session in self._sessions)
            return self._without_background({pid for pid in mine if not ignores_hangup(pid, self._proc)})
        roots = [process.pid for process in found if self._is_root(process)]
        below: Dict[int, List[int]] = {}
        for process in found:
            below.setdefault(process.parent, []).append(process.pid)
        tree: Set[int] = set()
        while roots:
            pid = roots.pop()
            if pid not in tree:
                tree.add(pid)
                roots += below.get(pid, ())
        self._found = self._without_background(tree.intersection(process.pid for process in found if process.alive))
        return self._found

    def _without_background(self, pids: Set[int]) -> Set[int]:
        """Returns those of the processes that were not put into the background, if `pipes` is given; otherwise all."""
        if self._pipes is None:
            return pids
        return {pid for pid in pids if pid in self._sessions or holds(pid, self._pipes, self._proc)}

    def _is_root(self, process: Process) -> bool:
        adopted = process.parent == self._adopter and process.pid not in self._spared
        inherited = process.parent == os.getpid() and process.pid in self._found
        return process.session in self._sessions or adopted or inherited

    def stop(self) -> bool:
        """Suspends all processes of the tree by SIGSTOP. Returns True if there was at least one process.

        A suspended process cannot fork, and cannot end by itself. So the next signal reaches all of them.
        """
        stopped: Set[int] = set()
        for _ in range(MAX_LISTINGS):
            found = self.members()
            if found is None:
                return self.send(signal.SIGSTOP)
            for pid in found - stopped:
                _kill(pid, signal.SIGSTOP)
            if found <= stopped:
                break
            stopped |= found
        return bool(stopped)

    def send(self, number: int) -> bool:
        """Sends the signal `number` to all processes of the tree. Returns True if there was at least one process."""
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
        pass  # the process has ended meanwhile, or runs as another user


def _killpg(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


class Termination:
    """Ends a process tree step by step, for a loop that must not block. The constructor sends SIGHUP.

    Args:
        now: the time, in seconds of the clock that `step` uses too.

    Attributes:
        done: True if no process is left, or only processes that cannot be killed.
    """

    def __init__(self, tree: ProcessTree, now: float, timeouts: Timeouts) -> None:
        self._tree, self._timeouts = tree, timeouts
        self._kill_at, self._give_up_at = now + timeouts.hangup_grace, math.inf
        # The tree is empty only if two listings find no process: one may miss a process that is adopted meanwhile.
        self.done = not (tree.stop() or tree.stop())
        if not self.done:
            tree.send(signal.SIGHUP)
            tree.send(signal.SIGCONT)  # a stopped process would never receive its SIGHUP

    def step(self, now: float) -> bool:
        """Checks which processes are left. Kills them if `hangup_grace` has passed since SIGHUP. Returns `done`.

        Call this every `processes_interval`.
        """
        if self.done:
            return True
        if now < self._kill_at:
            self.done = not self._send(0)
        else:
            # Kill again at every step: a process may fork while the others are being listed.
            self._give_up_at = min(self._give_up_at, now + self._timeouts.kill_timeout)
            self._tree.stop()
            self.done = not self._send(signal.SIGKILL) or now >= self._give_up_at
        return self.done

    def _send(self, number: int) -> bool:
        return self._tree.send(number) or self._tree.send(number)


def terminate(tree: ProcessTree, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Ends all processes of a tree. Blocks until they have ended, or cannot be killed."""
    termination = Termination(tree, time.monotonic(), timeouts)
    while not termination.step(time.monotonic()):
        time.sleep(timeouts.processes_interval)


def started_line(session: int) -> str:
    """Returns the line to record in a guard (helper process) when a session of the kernel (setsid) has started.

    If the agent dies, the guard ends the sessions that were recorded.
    """
    return "%s%d" % (_STARTED, session)


def ended_line(session: int) -> str:
    """Returns the line to record in a guard (helper process) when a session of the kernel (setsid) is over.

    The kernel may use the session's id again. Without this line, the guard could later end the new session by mistake.
    """
    return "%s%d" % (_ENDED, session)


def end_sessions(lines: List[str], timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Ends the kernel sessions that have not ended yet. A guard (helper process) calls this if the agent has died.

    Args:
        lines: the lines that were recorded in the guard.
    """
    for session in live_sessions(lines):
        terminate(ProcessTree([session], guest=GUEST in lines), timeouts)


def live_sessions(lines: Iterable[str]) -> List[int]:
    """Returns the ids of the kernel sessions (see setsid) that have started and not ended, oldest first.

    Args:
        lines: the lines that were recorded in a guard.
    """
    live: List[int] = []
    for line in lines:
        if line.startswith(_STARTED):
            live.append(int(line[len(_STARTED) :]))
        elif line.startswith(_ENDED):
            live = [session for session in live if session != int(line[len(_ENDED) :])]
    return live

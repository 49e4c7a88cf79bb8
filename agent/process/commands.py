"""Keeps all commands that the agent has started: reaps them, and ends the processes of one of them or of all."""

from __future__ import annotations

import math
import os
import signal
from collections import deque
from typing import Callable, Deque, Dict, FrozenSet, List, Optional, Protocol, Set, Tuple

from agent.process.inherited import adopts_orphans
from agent.process.process_tree import ProcessTree, Termination, children, ended_line
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.process_table import own_children, processes
from medusa.protocol.control import Exit


class Command(Protocol):
    """The interface of a command that was started: a TerminalChild or a PipeChild.

    Attributes:
        pipes: device and inode number of each of its pipes.
        background: True if processes that it has put into the background may outlive it.
    """

    pid: int
    exit: Optional[Exit]
    pipes: FrozenSet[Tuple[int, int]]
    background: bool

    def foreground(self) -> List[int]:
        """Returns the id of the terminal's foreground process group, in a list; an empty list if there is none.

        On a system without /proc, the agent signals this group too when it ends the command.
        """

    def signal(self, number: int) -> None:
        """Sends a signal to the command's processes in the foreground: those that Control-C would reach."""

    def close(self) -> None:
        """Closes the agent's ends of the command's terminal or pipes."""


class Commands:
    """All commands that the agent has started. Create this object before the first command is started.

    It never ends the children that the agent has when the object is created: the guard, and the children of a program
    that became the agent by exec(2).

    Args:
        guard: the helper process that ends the commands if the agent dies. It is told which commands run.
        clock: a function that returns monotonic seconds.
        guest: True to leave daemons alone: processes that have a kernel session of their own (setsid), or ignore SIGHUP
            (nohup).
    """

    def __init__(self, guard: Guard, clock: Callable[[], float], timeouts: Timeouts, *, guest: bool = False) -> None:
        self._guard, self._clock, self._timeouts, self._guest = guard, clock, timeouts, guest
        self._spared = children(os.getpid())
        self._known: Dict[int, Command] = {}
        self._started = 0
        self._numbers: Dict[int, int] = {}  # pid of a known command -> its number, in the order of their starts
        self._orphans: Dict[int, int] = {}  # pid of an adopted process -> the last number when it was first found
        self._adopts = adopts_orphans()
        self._ending: Set[int] = set()
        self._queued: List[Command] = []  # to be ended by the next `step`
        self._left: Set[int] = set()  # kernel sessions of commands that are over; their background processes may live
        self._left_checked, self._left_due = -math.inf, False
        self._terminations: Deque[Tuple[List[int], Termination]] = deque()  # with the pids of the commands
        self._whole: Optional[Termination] = None

    def add(self, command: Command) -> None:
        """Adds a command that was just started."""
        self._started += 1
        self._known[command.pid], self._numbers[command.pid] = command, self._started

    def reap(self) -> None:
        """Reaps all children of the agent that have ended, and sets `exit` of the commands. Call it on SIGCHLD."""
        orphans = False
        while True:
            try:
                # Wait for any child: the agent has adopted the orphans that the commands leave behind.
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._known:
                self._known[pid].exit = _exit_of(status)
            else:
                orphans = True
                self._orphans.pop(pid, None)
        if orphans and self._left:
            self._check_left()

    def signal(self, number: int) -> None:
        """Sends a signal to the foreground processes of all commands that have not ended."""
        for command in self._known.values():
            if command.exit is None:
                command.signal(number)

    def end(self, *commands: Command) -> None:
        """Closes the given commands, and begins to end what is left of their processes. Other commands are not touched.

        A command with `background` leaves processes behind, as under an sshd: all of them if it has ended by itself,
        else those that hold neither its pipes nor a terminal.

        What has to be searched for is ended by the next `step`, for all commands at once: each search lists all
        processes of the machine. It misses a process that has left its command's kernel session, if the process's
        parent has ended before. `end_all` finds such a process too.
        """
        self.reap()
        for command in commands:
            pid = command.pid
            if pid in self._ending:
                continue
            if pid in self._known and (command.exit is None or self._may_have_left(pid)):
                if command.exit is None or not command.background:
                    self._ending.add(pid)
                    self._queued.append(command)
                    continue
                self._leave([pid])
            elif pid in self._known:
                self._forget([pid])
            command.close()

    def _leave(self, pids: List[int]) -> None:
        """Leaves the background processes of commands that are over. The guard ends them if the agent dies."""
        self._left.update(pids)
        for pid in pids:
            self._known.pop(pid, None)
            self._numbers.pop(pid, None)
            self._ending.discard(pid)
        if pids:
            self._check_left()

    def _check_left(self) -> None:
        """Makes the guard forget the kernel sessions in which no process is left: the system may use their ids again.

        Does so at most once in `left_interval` seconds, because it lists all processes of the machine. If it was too
        soon, `step` does it later. If the processes cannot be listed, the guard forgets all of these sessions: it would
        signal the processes of others if it kept ids that the system uses again.
        """
        now = self._clock()
        if now < self._left_checked + self._timeouts.left_interval:
            self._left_due = True
            return
        self._left_checked = now
        self._forget([*(self._left - _sessions())])
        self._left_due = bool(self._left) and not self._adopts  # without adoption, no end of a process is noticed

    def _end_queued(self) -> None:
        """Begins to end the commands that `end` has queued, before it closes them: now their processes cannot fork."""
        queued, self._queued = self._queued, []
        for background in (False, True):
            found = [command for command in queued if command.background is background]
            if found and self._whole is None:
                pids = [command.pid for command in found]
                groups = [group for command in found for group in command.foreground()]
                pipes = {pipe for command in found for pipe in command.pipes} if background else None
                tree = ProcessTree(pids, groups, guest=self._guest, pipes=pipes)
                self._terminations.append((pids, Termination(tree, self._clock(), self._timeouts)))
        for command in queued:
            command.close()

    def _may_have_left(self, pid: int) -> bool:
        """True if a command that has ended may have left processes. If this is False, `end` need not search for them.

        The search lists all processes of the machine. What a command has left, the agent has adopted. An orphan that
        was found before a command was started is none of its processes: what was left in the background once does not
        make each later command expensive.
        """
        mine = own_children() if self._adopts else None
        if mine is None:
            return True
        orphans = mine.difference(self._known, self._spared)
        self._orphans = {pid: self._orphans.get(pid, self._started) for pid in orphans}
        return any(found >= self._numbers[pid] for found in self._orphans.values())

    def end_all(self) -> None:
        """Closes all commands, and begins to end all processes that descend from them or that the agent has adopted."""
        if self._whole is not None:
            return
        groups = [group for command in self._known.values() for group in command.foreground()]
        tree = ProcessTree(
            [*self._known, *(self._left & _sessions())], groups, os.getpid(), self._spared, guest=self._guest
        )
        self._whole = Termination(tree, self._clock(), self._timeouts)
        for command in self._known.values():
            command.close()

    @property
    def ending(self) -> bool:
        """True while processes are being ended."""
        return bool(self._terminations or self._queued) or not (self._whole is None or self._whole.done)

    def deadline(self, now: float) -> Optional[float]:
        """Returns the time at which to call `step`; None if nothing is to be done."""
        if self.ending:
            return now + self._timeouts.processes_interval
        return self._left_checked + self._timeouts.left_interval if self._left_due else None

    def step(self) -> None:
        """Goes on to end the processes of the commands that were closed. Call it as long as `deadline` returns a time.

        Takes at most `processes_interval`, if nothing is new.
        """
        self._end_queued()
        if self._left_due:
            self._check_left()
        if not self._terminations and self._whole is None:
            return
        self.reap()
        until = self._clock() + self._timeouts.processes_interval
        if self._whole is not None and self._whole.step(self._clock()):
            self._forget([*self._known, *self._left])
            self._terminations.clear()
        for _ in range(len(self._terminations)):
            pids, termination = self._terminations.popleft()
            if termination.step(self._clock()):
                if any(self._known[pid].background for pid in pids if pid in self._known):
                    self._leave(pids)
                else:
                    self._forget(pids)
            else:
                self._terminations.append((pids, termination))
            if self._clock() >= until:
                break

    def _forget(self, pids: List[int]) -> None:
        self.reap()  # before the guard forgets them, because now the system may use their ids again
        for pid in pids:
            self._guard.record(ended_line(pid))
            self._known.pop(pid, None)
            self._numbers.pop(pid, None)
            self._ending.discard(pid)
            self._left.discard(pid)


def _sessions() -> Set[int]:
    """Returns the kernel sessions of all processes; none if the processes cannot be listed."""
    return {process.session for process in processes() or ()}


def describe_exit(end: Exit) -> str:
    """Returns a text for the log that says how a command ended."""
    return "killed by %s" % end.signal if end.signal else "status %s" % end.status


def _exit_of(status: int) -> Exit:
    if not os.WIFSIGNALED(status):
        return Exit(status=os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    try:
        return Exit(signal=signal.Signals(number).name)
    except ValueError:
        return Exit(status=128 + number)  # the client knows no names of real-time signals

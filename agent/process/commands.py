"""All commands that the agent has started: reaps them, and ends the processes of one of them or of all."""

from __future__ import annotations

import os
import signal
from typing import Callable, Dict, List, Optional, Protocol

from agent.process.process_tree import ProcessTree, Termination, children, ended_line
from agent.timeouts import Timeouts
from medusa.guard import Guard
from medusa.protocol.control import Exit


class Command(Protocol):
    """A command that was started: a TerminalChild or a PipeChild."""

    pid: int
    exit: Optional[Exit]

    def foreground(self) -> List[int]:
        """Returns the ids of process groups to signal on a system without /proc, besides that of `pid`."""

    def signal(self, number: int) -> None:
        """Sends a signal to the processes that the user sees at work."""

    def close(self) -> None:
        """Closes the agent's ends of the command's terminal or pipes."""


class Commands:
    """The commands of this agent. Create it before the first command is started.

    It spares the processes that are children of the agent now: the guard, and those of a program that became the agent
    by exec(2).

    Args:
        guard: the helper process that knows which commands run.
        clock: returns monotonic seconds.
    """

    def __init__(self, guard: Guard, clock: Callable[[], float], timeouts: Timeouts) -> None:
        self._guard, self._clock, self._timeouts = guard, clock, timeouts
        self._spared = children(os.getpid())
        self._known: Dict[int, Command] = {}
        self._terminations: Dict[int, Termination] = {}
        self._whole: Optional[Termination] = None

    def add(self, command: Command) -> None:
        """Adds a command that was just started."""
        self._known[command.pid] = command

    def reap(self) -> None:
        """Reaps all children of the agent that have ended, and sets `exit` of the commands. Call it on SIGCHLD."""
        while True:
            try:
                # Wait for any child: the agent has adopted the orphans that the commands leave behind.
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._known:
                self._known[pid].exit = _exit_of(status)

    def signal(self, number: int) -> None:
        """Sends a signal to the processes of all commands that live."""
        for command in self._known.values():
            if command.exit is None:
                command.signal(number)

    def end(self, command: Command) -> None:
        """Closes a command, and begins to end what is left of its processes. The other commands are not touched.

        A process that has left the command's kernel session, and whose parent has ended, is ended by `end_all` only.
        """
        if command.pid in self._known and command.pid not in self._terminations:
            tree = ProcessTree([command.pid], command.foreground())
            self._terminations[command.pid] = Termination(tree, self._clock(), self._timeouts)
        command.close()
        self.step()

    def end_all(self) -> None:
        """Closes all commands, and begins to end all processes that have descended from the agent."""
        if self._whole is not None:
            return
        groups = [group for command in self._known.values() for group in command.foreground()]
        tree = ProcessTree(self._known, groups, os.getpid(), self._spared)
        self._whole = Termination(tree, self._clock(), self._timeouts)
        for command in self._known.values():
            command.close()

    @property
    def ending(self) -> bool:
        """True if processes are being ended. Then call `step` every `processes_interval`."""
        return bool(self._terminations) or not (self._whole is None or self._whole.done)

    def step(self) -> None:
        """Goes on with the ends of commands that have begun."""
        if not self._terminations and self._whole is None:
            return
        self.reap()
        now = self._clock()
        if self._whole is not None and self._whole.step(now):
            self._forget(list(self._known))
        self._forget([pid for pid, termination in self._terminations.items() if termination.step(now)])

    def _forget(self, pids: List[int]) -> None:
        self.reap()  # before the guard forgets them, because now the system may use their ids again
        for pid in pids:
            self._guard.record(ended_line(pid))
            self._known.pop(pid, None)
            self._terminations.pop(pid, None)


def describe_exit(end: Exit) -> str:
    """Returns words for the log about how a command ended."""
    return "killed by %s" % end.signal if end.signal else "status %s" % end.status


def _exit_of(status: int) -> Exit:
    if not os.WIFSIGNALED(status):
        return Exit(status=os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    try:
        return Exit(signal=signal.Signals(number).name)
    except ValueError:
        return Exit(status=128 + number)  # the client knows no names of real-time signals

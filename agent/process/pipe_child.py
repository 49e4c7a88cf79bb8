"""Runs a command on three pipes: stdin, stdout and stderr. No call blocks."""

from __future__ import annotations

import fcntl
import io
import os
from typing import Callable, Iterator, List, Optional, Tuple, Union

from agent.command.resolve import CannotStart, Launch
from agent.process.execution import Execution
from agent.process.inherited import NOTHING, Inherited
from agent.process.process_tree import ProcessTree
from medusa.forked import blocked_signals
from medusa.guard import Guard
from medusa.protocol.control import Exit
from medusa.protocol.resume.byte_queue import Buffer
from medusa.transports.bulk_reader import SHORT, BulkReader

PIPE_SIZE = 1024 * 1024
"""Bytes. The size of a pipe that takes no more, or of which much was read at once, if the system allows it.

A user's pipes can have 64 MiB in all (pipe(7)).
"""

_F_SETPIPE_SZ = 1031

STDIN, STDOUT, STDERR = range(3)


class PipeChild:
    """A started command, and the agent's ends of its pipes.

    Attributes:
        pid: the pid of the command, which leads its own kernel session. The session has no terminal.
        fds: the agent's ends of stdin, stdout and stderr, non-blocking; -1 after `close`.
        readers: the readers of stdout (1) and stderr (2). One has `ended` if no process has the pipe open any more.
        exit: how the command ended; None until `Commands.reap` has found that it has ended.
        pipes, background: see `Command`.
    """

    def __init__(self, pid: int, fds: List[int]) -> None:
        self.pid = pid
        self.fds = fds
        self.exit: Optional[Exit] = None
        self.pipes = frozenset((found.st_dev, found.st_ino) for found in map(os.fstat, fds))
        self.background = False
        self.readers = {sub: BulkReader(io.FileIO(fds[sub], closefd=False).readinto) for sub in (STDOUT, STDERR)}
        self._small = {STDIN, STDOUT, STDERR}  # the pipes that still have their first size

    @classmethod
    def start(cls, launch: Launch, guard: Guard, inherited: Inherited = NOTHING) -> PipeChild:
        """Starts a command.

        Args:
            guard: a helper process that ends the command if the agent dies.
            inherited: the settings, inherited from the job, that are restored for the command.

        Raises:
            CannotStart: there is no free process or descriptor, or the program cannot be executed.
        """
        execution = Execution(launch, guard, inherited)
        pipes: List[Tuple[int, int]] = []
        try:
            for _ in range(3):
                pipes.append(os.pipe())
            theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
            pid = _fork(execution, theirs)
        except OSError as error:
            execution.cancel()
            _close_all([fd for pipe in pipes for fd in pipe])
            raise CannotStart("%s: %s" % (launch.argv[0], error.strerror)) from None
        _close_all(theirs)
        mine = [pipes[0][1], pipes[1][0], pipes[2][0]]
        try:
            execution.confirm(pid)
        except CannotStart:
            _close_all(mine)
            raise
        for fd in mine:
            os.set_blocking(fd, False)
        return cls(pid, mine)

    def read(self, sub: int, room: Callable[[], int]) -> Iterator[Buffer]:
        """Reads the output that is there now, and yields it in pieces.

        Args:
            sub: 1 for stdout, 2 for stderr.
            room: see BulkReader.pieces.
        """
        for piece in self.readers[sub].pieces(room):
            if len(piece) >= SHORT:
                self._enlarge(sub)
            yield piece

    def write(self, data: Union[bytes, memoryview]) -> Optional[int]:
        """Writes to the command's stdin. Returns the number of bytes that were accepted.

        Returns None if no process reads stdin any more.
        """
        try:
            return os.write(self.fds[STDIN], data)
        except BlockingIOError:
            self._enlarge(STDIN)
            return 0
        except BrokenPipeError:
            return None

    def _enlarge(self, sub: int) -> None:
        if sub in self._small:
            self._small.remove(sub)
            try:
                fcntl.fcntl(self.fds[sub], _F_SETPIPE_SZ, PIPE_SIZE)
            except OSError:
                pass  # not Linux, or the user's pipes have used up what they may have

    def signal(self, number: int) -> None:
        """Sends a signal to the command's process group. Does nothing if the group has no processes any more."""
        if self.exit is not None and not ProcessTree([self.pid]).members():
            return  # the system may have given the id to another group
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def foreground(self) -> List[int]:
        """Returns an empty list, because a command on pipes has no terminal, and so no foreground process group."""
        return []

    def close(self, sub: Optional[int] = None) -> None:
        """Closes the agent's end of a pipe. `sub`: 0 for stdin, 1 for stdout, 2 for stderr; None for all.

        A command that writes to a closed pipe gets SIGPIPE.
        """
        for number in range(3) if sub is None else (sub,):
            if self.fds[number] >= 0:
                os.close(self.fds[number])
                self.fds[number] = -1


def _fork(execution: Execution, theirs: List[int]) -> int:
    """Forks a child that executes the command, with `theirs` as its descriptors 0-2. Returns its pid."""

    def attach() -> None:
        os.setsid()
        for number, fd in enumerate(theirs):
            os.dup2(fd, number)

    with blocked_signals():
        pid = os.fork()
        if pid == 0:
            execution.run(attach)
    return pid


def _close_all(fds: List[int]) -> None:
    for fd in fds:
        os.close(fd)

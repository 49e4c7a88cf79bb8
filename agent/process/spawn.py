"""Starts a command on a pseudo-terminal.

ptyprocess opens the terminal and forks. Its methods to read, write, wait and kill block or sleep, so terminal_child.py
has its own.
"""

from __future__ import annotations

import os
import termios
from typing import List, Mapping, Tuple

from ptyprocess import PtyProcess

from agent.command.encoding import to_bytes
from agent.command.resolve import CannotStart, Launch, unusable
from agent.process.execution import Execution
from agent.process.inherited import NOTHING, Inherited
from agent.process.process_tree import ended_line
from medusa.guard import Guard
from medusa.protocol.terminal import modes


def spawn(launch: Launch, guard: Guard, inherited: Inherited = NOTHING) -> Tuple[int, int]:
    """Starts a command on a new terminal.

    Args:
        guard: a helper process that ends the command if the agent dies.
        inherited: the settings, inherited from the job, that are restored for the command.

    Returns:
        The command's pid, which is also the id of its kernel session, and the descriptor of the terminal's master side.

    Raises:
        CannotStart: there is no free terminal or process, or the program cannot be executed.
    """
    agent = os.getpid()
    execution = Execution(launch, guard, inherited)
    made: List[Tuple[int, int]] = []

    class Started(PtyProcess):  # type: ignore[misc]  # the package has no type hints
        """A started process. Keeps only its pid and its terminal; the base class would also open files and sleep.

        The constructor adds the pid and the terminal to the list `made`. This is needed because PtyProcess.spawn
        returns no object if it fails after it has called the constructor.
        """

        def __init__(self, pid: int, fd: int) -> None:
            self.pid, self.fd = pid, fd
            self.closed = True  # so that __del__ of the base class does nothing
            made.append((pid, fd))

    try:
        Started.spawn(
            [to_bytes(word) for word in launch.argv],
            env={},
            preexec_fn=lambda: execution.run(lambda: _set_modes(launch.modes)),
            dimensions=(launch.size.lines, launch.size.columns),
            pass_fds=execution.fds,
        )
    except Exception as error:  # noqa: BLE001  (ptyprocess raises here any exception of the child)
        if os.getpid() != agent:
            os._exit(127)  # a forked child must never return into the agent's stack
        execution.cancel()
        for pid, fd in made:
            os.close(fd)
            os.waitpid(pid, 0)
            guard.record(ended_line(pid))
        raise _cannot_start(launch.argv[0], error) from None
    try:
        execution.confirm(made[0][0])
    except CannotStart:
        os.close(made[0][1])
        raise
    return made[0]


def _set_modes(wanted: Mapping[int, int]) -> None:
    """Sets the modes of the terminal, in the forked child. Ignores errors, because the command can run without them.

    Args:
        wanted: the modes to set: the values by opcode.
    """
    if not wanted:
        return
    try:
        disable = os.fpathconf(0, "PC_VDISABLE")
        termios.tcsetattr(0, termios.TCSANOW, modes.to_termios(wanted, termios.tcgetattr(0), disable))
    except (termios.error, OSError, ValueError, TypeError):
        pass


def _cannot_start(program: str, error: Exception) -> CannotStart:
    number = getattr(error, "errno", None)
    if isinstance(error, FileNotFoundError) and number is None:  # ptyprocess looks for the program before it forks
        return unusable(program)
    return CannotStart("%s: %s" % (program, os.strerror(number) if number else str(error) or type(error).__name__))

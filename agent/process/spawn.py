"""Starts a command on a pseudo-terminal.

ptyprocess opens the terminal and starts the command. Its methods to read, write, wait and kill block or sleep, so
terminal_child.py has its own.
"""

from __future__ import annotations

import os
import signal
import termios
from typing import List, Mapping, Tuple

from ptyprocess import PtyProcess

from agent.command.encoding import to_bytes
from agent.command.resolve import CannotStart, Launch
from agent.process.inherited import NOTHING, Inherited
from agent.process.process_tree import ended_line, started_line
from medusa.guard import Guard
from medusa.protocol.terminal import modes


def spawn(launch: Launch, guard: Guard, inherited: Inherited = NOTHING) -> Tuple[int, int]:
    """Starts a command on a new terminal.

    The child records itself in `guard`, a helper process that ends the command if the agent dies. It does so before it
    executes the program, so the guard knows every command that runs.

    Returns:
        The command's pid, which is also the id of its kernel session, and the descriptor of the terminal's master side.

    Raises:
        CannotStart: there is no free terminal or process, or the program cannot be executed.
    """
    agent = os.getpid()
    words = [to_bytes(word) for word in launch.argv]
    env = {to_bytes(name): to_bytes(value) for name, value in launch.env.items()}
    made: List[Tuple[int, int]] = []

    class Started(PtyProcess):  # type: ignore[misc]  # the package has no type hints
        """A started process. Keeps only its pid and its terminal; the base class would also open files and sleep.

        The constructor adds both to `made`. This is needed because PtyProcess.spawn returns no object if the program
        cannot be executed: it raises an error after it has called the constructor.
        """

        def __init__(self, pid: int, fd: int) -> None:
            self.pid, self.fd = pid, fd
            self.closed = True  # so that __del__ of the base class does nothing
            made.append((pid, fd))

    def prepare() -> None:
        guard.record(started_line(os.getpid()))
        _reset()
        inherited.restore_core_limit()
        _set_modes(launch.modes)
        os.chdir(to_bytes(launch.cwd))
        if launch.name is not None:  # ptyprocess can call a program by its path only
            os.execve(words[0], [to_bytes(launch.name), *words[1:]], env)

    try:
        Started.spawn(
            words,
            env=env,
            preexec_fn=prepare,
            dimensions=(launch.size.lines, launch.size.columns),
            pass_fds=(guard.fd,),
        )
    except Exception as error:  # noqa: BLE001  (ptyprocess raises here any exception of the child)
        if os.getpid() != agent:
            os._exit(127)  # a forked child must never return into the agent's stack
        for pid, fd in made:
            os.close(fd)
            os.waitpid(pid, 0)
            guard.record(ended_line(pid))
        raise CannotStart("%s: %s" % (launch.argv[0], _reason(error))) from None
    return made[0]


def _reset() -> None:
    """Resets, in the forked child, the signal handlers and the signal mask, so that the command does not inherit them.

    Marks inherited descriptors to be closed when the command is executed.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:
            continue  # the C library reserves this signal
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _close_on_exec()


def _set_modes(wanted: Mapping[int, int]) -> None:
    """Sets the modes of the terminal, in the forked child. Ignores errors, because the command can run without them.

    Args:
        wanted: the values of the modes by opcode.
    """
    if not wanted:
        return
    try:
        disable = os.fpathconf(0, "PC_VDISABLE")
        termios.tcsetattr(0, termios.TCSANOW, modes.to_termios(wanted, termios.tcgetattr(0), disable))
    except (termios.error, OSError, ValueError, TypeError):
        pass


def _close_on_exec() -> None:
    # ptyprocess closes descriptors up to the soft limit. An inherited descriptor may be above the limit.
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return
    for fd in (int(name) for name in names):
        if fd > 2:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue  # this descriptor belonged to the listing itself


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__

"""Starting a command on a pseudo-terminal.

ptyprocess opens the terminal and starts the command. Its reading, writing, waiting and killing block or sleep, so they
are not used: see child.py.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import List, Tuple

from ptyprocess import PtyProcess

from agent.session.command import CannotStart, Launch, to_bytes
from agent.session.process_tree import ended_line, started_line
from medusa.guard import Guard

_PR_SET_CHILD_SUBREAPER = 36
"""prctl(2)."""


def spawn(launch: Launch, guard: Guard) -> Tuple[int, int]:
    """Start the command. It tells `guard` of itself before it executes its program, so that it is never unguarded.

    Returns:
        Its pid, which is the id of its session too, and the terminal's master side.

    Raises:
        CannotStart: no terminal, no process, or the program cannot be executed.
    """
    agent = os.getpid()
    made: List[Tuple[int, int]] = []

    class Started(PtyProcess):  # type: ignore[misc]  # has no types
        """Without the file objects, the waiting and the sleeping of its base class.

        `spawn` makes it before it knows whether the command could be executed.
        """

        def __init__(self, pid: int, fd: int) -> None:
            self.pid, self.fd = pid, fd
            self.closed = True  # keeps __del__ of the base class from doing anything
            made.append((pid, fd))

    def prepare() -> None:
        guard.record(started_line(os.getpid()))
        _reset()
        os.chdir(to_bytes(launch.cwd))

    try:
        Started.spawn(
            [to_bytes(word) for word in launch.argv],
            env={to_bytes(name): to_bytes(value) for name, value in launch.env.items()},
            preexec_fn=prepare,
            dimensions=(launch.size.lines, launch.size.columns),
            pass_fds=(guard.fd,),
        )
    except Exception as error:  # noqa: BLE001  (ptyprocess raises again whatever happened in the child)
        if os.getpid() != agent:
            os._exit(127)  # a forked child must never return into the agent's stack
        for pid, fd in made:
            os.close(fd)
            os.waitpid(pid, 0)
            guard.record(ended_line(pid))
        raise CannotStart("%s: %s" % (launch.argv[0], _reason(error))) from None
    return made[0]


def _reset() -> None:
    """In the child: undo what the agent or its parent changed and a child would inherit."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:
            continue  # one of the C library's own
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    no_core_dumps()
    _close_on_exec()


def adopt_orphans() -> None:
    """Become the parent of what the child leaves behind, to reap it: a container's process 1 may not. Linux only."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass


def no_core_dumps() -> None:
    """Write no core file, as it would hold secrets. Only the soft limit is set: a user who wants one may raise it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _close_on_exec() -> None:
    # ptyprocess closes descriptors up to the soft limit; one that was inherited may lie above it.
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return
    for fd in (int(name) for name in names):
        if fd > 2:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue  # the descriptor of the listing itself


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__

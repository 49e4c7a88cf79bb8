"""The guard: a helper process that runs a cleanup function when its owner dies, even if SIGKILL killed the owner.

The owner is the process that starts the guard. The helper holds the reading end of a pipe, and the owner holds the only
writing end. If the pipe ends without the line `done`, the owner has died, and the helper runs the cleanup. Start the
guard early: before the owner starts threads, changes the terminal or reads secrets.
"""

from __future__ import annotations

import os
import signal
from typing import Callable, FrozenSet, Iterable, List, Optional

from medusa.forked import blocked_signals, fork_helper

_DONE = b"done"
_FROM_OUTSIDE = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP)
_FOR_PROGRAMS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)  # some job systems send them to every process of a job
_IGNORED = (*_FROM_OUTSIDE, *_FOR_PROGRAMS, signal.SIGPIPE)


class Guard:
    """A helper process that runs a cleanup function if its owner, the process that started it, dies.

    Create it by `start`. The owner calls `record` to tell the helper what to clean up. A forked child of the owner may
    call `record` too, until it executes another program.

    Attributes:
        pid: the pid of the helper process.
        fd: the descriptor of the pipe to the helper; -1 after `done`.
    """

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd

    @classmethod
    def start(cls, cleanup: Callable[[List[str]], None], keep_fds: Iterable[int] = ()) -> Guard:
        """Forks the helper process. Returns the guard.

        Args:
            cleanup: a function that the helper calls if the owner has died without a call of `done`. Its argument is
                the list of the lines that `record` was called with. The helper ignores the signals INT, HUP, TERM,
                QUIT, TSTP, USR1, USR2 and XCPU. Its descriptors 0-2 are /dev/null, and its working directory is /.
            keep_fds: descriptors that `cleanup` needs. The helper closes all others.

        Raises:
            OSError: the system has no free process or pipe.
        """
        reader, writer = os.pipe()
        keep = frozenset(keep_fds) | {reader}
        try:
            with blocked_signals():
                pid = fork_helper(lambda: _run_helper(reader, keep, cleanup), keep, _IGNORED)
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        return cls(pid, writer)

    def record(self, line: str) -> None:
        """Adds a line to the list that is passed to `cleanup`. If the helper was killed, the line is silently lost."""
        if "\n" in line:
            raise ValueError("one line, please")
        self._write(line.encode("utf-8", "surrogateescape") + b"\n")

    def done(self) -> None:
        """Ends the helper without a cleanup, and reaps it. Call this when nothing is left to clean up. Idempotent."""
        if self.fd < 0:
            return
        self._write(_DONE + b"\n")
        os.close(self.fd)
        self.fd = -1
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # the owner has already reaped the helper: it waits for any child

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self.fd, data) :]  # a signal may end a long write early
        except OSError:
            pass


def _run_helper(reader: int, keep: FrozenSet[int], cleanup: Callable[[List[str]], None]) -> None:
    _detach(keep)
    lines = _read_lines(reader)
    if lines is not None:
        cleanup(lines)


def _detach(keep: FrozenSet[int]) -> None:
    """Makes the helper process independent of its owner.

    Gives the process another name, makes it the leader of a new session (setsid), changes its working directory to /,
    and makes the standard descriptors /dev/null.

    Args:
        keep: standard descriptors that are left as they are.
    """
    _rename("medusa-guard")
    os.setsid()  # a kill of the owner's process group must not reach the helper
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        if fd not in keep:
            os.dup2(null, fd)
    os.close(null)


def _rename(name: str) -> None:
    """Changes the name of this process to `name`, so `pkill` with the owner's name does not kill it. On Linux only."""
    try:
        # /proc/self/comm belongs to root if the owner hides its memory. A thread may still change its own name.
        with open("/proc/self/task/%d/comm" % os.getpid(), "w") as comm:
            comm.write(name)
    except OSError:
        pass


def _read_lines(reader: int) -> Optional[List[str]]:
    """Waits until the owner dies or calls `done`. Returns the recorded lines; None if the owner has called `done`."""
    received = bytearray()
    while True:
        data = os.read(reader, 4096)
        if not data:
            break
        received += data
    lines = received.split(b"\n")[:-1]
    if lines and lines[-1] == _DONE:
        return None
    return [line.decode("utf-8", "surrogateescape") for line in lines]

"""Executes a command in a forked child: prepares the process, executes the command, reports errors to the agent."""

from __future__ import annotations

import errno
import os
import signal
from typing import Callable, NoReturn, Tuple

from agent.command.encoding import to_bytes
from agent.command.resolve import NOT_EXECUTABLE, NOT_FOUND, CannotStart, Launch
from agent.process.inherited import Inherited
from agent.process.process_tree import ended_line, started_line
from medusa.forked import close_others
from medusa.guard import Guard

_CHDIR, _EXECUTE, _PREPARE = b"chdir", b"execute", b"prepare"

_CODES = {errno.ENOENT: NOT_FOUND, errno.ENOTDIR: NOT_FOUND}
_CODES.update(dict.fromkeys((errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR, errno.ETXTBSY), NOT_EXECUTABLE))
"""Maps errors of execve(2) to the codes of CannotStart."""


class Execution:
    """One attempt to execute a command in a forked child.

    Create it before the fork. Then call `run` in the child, and `confirm` in the agent. If the fork failed, call
    `cancel`.

    The child reports an error through a pipe that execve(2) closes. If the pipe ends without a report, the command
    runs.

    Attributes:
        fds: the descriptors that the child needs until it executes the command.

    Raises:
        CannotStart: there is no free descriptor.
    """

    def __init__(self, launch: Launch, guard: Guard, inherited: Inherited) -> None:
        self._launch, self._guard, self._inherited = launch, guard, inherited
        self._words = [to_bytes(word) for word in launch.argv]
        self._env = {to_bytes(name): to_bytes(value) for name, value in launch.env.items()}
        try:
            self._reader, self._writer = os.pipe()
        except OSError as error:
            raise CannotStart("%s: %s" % (launch.argv[0], error.strerror)) from None
        self.fds: Tuple[int, ...] = (guard.fd, self._writer)

    def run(self, attach: Callable[[], object]) -> NoReturn:
        """Executes the command. Call this in the forked child. It never returns: on an error, it reports why and exits.

        The child records itself in the guard before it executes the command, so the guard knows every command that
        runs.

        Args:
            attach: a function that makes the child the leader of a kernel session, and connects its descriptors 0-2.
        """
        step = _PREPARE
        try:
            attach()
            self._guard.record(started_line(os.getpid()))
            _reset_signals()
            close_others(set(self.fds))
            self._inherited.restore_limits()
            step = _CHDIR
            os.chdir(to_bytes(self._launch.cwd))
            step = _EXECUTE
            if self._launch.function is not None:
                close_others(set())
                os._exit(self._launch.function())
            name = self._words[0] if self._launch.name is None else to_bytes(self._launch.name)
            os.execve(self._words[0], [name, *self._words[1:]], self._env)
        except BaseException as error:  # noqa: BLE001  (a forked child must never return into the agent's stack)
            number = error.errno if isinstance(error, OSError) else None
            os.write(self._writer, b"%s %d %s" % (step, number or 0, to_bytes(str(error))[:1024]))
        finally:
            os._exit(127)

    def confirm(self, pid: int) -> None:
        """Waits until the child has executed the command, or has reported an error.

        Args:
            pid: the pid of the child.

        Raises:
            CannotStart: the command could not be executed. The child is then reaped.
        """
        os.close(self._writer)
        report = b""
        while True:
            data = os.read(self._reader, 4096)
            if not data:
                break
            report += data
        os.close(self._reader)
        if report:
            os.waitpid(pid, 0)
            self._guard.record(ended_line(pid))
            step, number, words = report.split(b" ", 2)
            raise self._error(step, int(number), words.decode("utf-8", "replace"))

    def cancel(self) -> None:
        """Closes the pipe. Call this if there is no child."""
        os.close(self._reader)
        os.close(self._writer)

    def _error(self, step: bytes, number: int, words: str) -> CannotStart:
        reason = os.strerror(number) if number else words
        if step == _CHDIR:
            return CannotStart("cannot start in %s: %s" % (self._launch.cwd, reason))
        if number == errno.E2BIG:
            size = sum(map(len, self._words)) + sum(len(name) + len(self._env[name]) for name in self._env)
            reason = "the command and its variables are too large for this machine (%d bytes)" % size
        code = _CODES.get(number) if step == _EXECUTE else None
        return CannotStart("%s: %s" % (self._launch.argv[0], reason), *filter(None, [code]))


def _reset_signals() -> None:
    """Resets the signal handlers and the signal mask, so that the command does not inherit them."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:
            continue  # the C library reserves this signal
    signal.pthread_sigmask(signal.SIG_SETMASK, [])

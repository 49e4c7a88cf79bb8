"""A helper process that cleans up after its owner has died, even of SIGKILL.

The helper holds the reading end of a pipe, and the owner the only writing end. If the pipe ends without the line
`done`, the owner has died, and the cleanup runs in the helper. Fork it early: before threads, before the terminal is
changed, before secrets are read.
"""

from __future__ import annotations

import os
import signal
from typing import AbstractSet, Callable, FrozenSet, Iterable, List, Optional

_DONE = b"done"
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE)
_ALL_SIGNALS = signal.valid_signals()


class Guard:
    """The owner's end.

    Attributes:
        pid: of the helper.
        fd: of the pipe; -1 after `done`. A forked child of the owner may call `record` too, until it runs another
            program.
    """

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd

    @classmethod
    def start(cls, cleanup: Callable[[List[str]], None], keep_fds: Iterable[int] = ()) -> Guard:
        """Fork the helper.

        Args:
            cleanup: called in the helper, if the owner has died without `done`, with the lines recorded so far. The
                signals INT, HUP, TERM, QUIT and TSTP are ignored then, descriptors 0-2 are /dev/null, and the working
                directory is /.
            keep_fds: descriptors that `cleanup` needs; all others are closed.

        Raises:
            OSError: the system has no room for a process or a pipe.
        """
        reader, writer = os.pipe()
        try:
            # A signal right after the fork would run the owner's handlers in the helper.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
            try:
                pid = os.fork()
                if pid == 0:
                    _run_helper(reader, frozenset(keep_fds), cleanup)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        return cls(pid, writer)

    def record(self, line: str) -> None:
        """Give `cleanup` one more line. If the helper has been killed, the line is lost without an error."""
        if "\n" in line:
            raise ValueError("one line, please")
        self._write(line.encode("utf-8", "surrogateescape") + b"\n")

    def done(self) -> None:
        """Nothing is left to clean up: end the helper without a cleanup, and reap it. Idempotent."""
        if self.fd < 0:
            return
        self._write(_DONE + b"\n")
        os.close(self.fd)
        self.fd = -1
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # the owner has reaped it: it waits for any child

    def _write(self, data: bytes) -> None:
        try:
            os.write(self.fd, data)
        except OSError:
            pass


def close_others(keep: AbstractSet[int]) -> None:
    """Close all descriptors above 2 except these. Call it in a forked child."""
    for fd in _open_fds():
        if fd > 2 and fd not in keep:
            _close(fd)


def _run_helper(reader: int, keep: FrozenSet[int], cleanup: Callable[[List[str]], None]) -> None:
    """Never returns: the owner's stack must not be unwound in the helper."""
    try:
        _detach(keep | {reader})
        lines = _read_lines(reader)
        if lines is not None:
            cleanup(lines)
    finally:
        os._exit(0)


def _detach(keep: FrozenSet[int]) -> None:
    """Drop what the helper inherited from its owner: signal handlers, session, directory, descriptors."""
    _rename("medusa-guard")
    signal.set_wakeup_fd(-1)
    for number in _ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN if number in _IGNORED else signal.SIG_DFL)
        except OSError:
            continue  # the C library reserves some
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.setsid()  # a kill of the owner's process group must not reach the helper
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        if fd not in keep:
            os.dup2(null, fd)
    close_others(keep)


def _rename(name: str) -> None:
    """On Linux, change the process's name, so that `pkill` by the owner's name does not reach the helper."""
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
    except OSError:
        pass


def _open_fds() -> Iterable[int]:
    for place in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(place)]
        except OSError:
            continue
    return range(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass


def _read_lines(reader: int) -> Optional[List[str]]:
    """Wait for the owner's end. Returns the recorded lines; None if the last one is `done`."""
    received = b""
    while True:
        data = os.read(reader, 4096)
        if not data:
            break
        received += data
    lines = received.split(b"\n")[:-1]
    if lines and lines[-1] == _DONE:
        return None
    return [line.decode("utf-8", "surrogateescape") for line in lines]

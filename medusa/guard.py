"""A dead man's helper: a process that cleans up when its owner is gone, even by SIGKILL.

It holds the reading end of a pipe, its owner the only writing end. End of file without the farewell means that the
owner died, and the cleanup runs there. Fork it early: before threads, before the terminal is changed, before secrets
are read.
"""

from __future__ import annotations

import os
import signal
from typing import AbstractSet, Callable, FrozenSet, Iterable, List, Optional

_FAREWELL = b"done"
_DEAF_TO = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE)
_ALL_SIGNALS = signal.valid_signals()


class Guard:
    """The owner's end. `fd` is the pipe: a forked child of the owner may `tell` too, until it runs another program."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd

    @classmethod
    def start(cls, cleanup: Callable[[List[str]], None], keep_fds: Iterable[int] = ()) -> Guard:
        """Fork the helper.

        Args:
            cleanup: called in the helper with the lines told so far when the owner died without `done`. Its signals
                INT, HUP, TERM, QUIT, TSTP are ignored, its descriptors 0-2 are /dev/null, its directory is /.
            keep_fds: descriptors that `cleanup` needs; all others are closed.

        Raises:
            OSError: no process or pipe to be had.
        """
        reader, writer = os.pipe()
        try:
            # A signal between fork and the helper's own dispositions would run the owner's handlers in it.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
            try:
                pid = os.fork()
                if pid == 0:
                    _live(reader, frozenset(keep_fds), cleanup)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        return cls(pid, writer)

    def tell(self, line: str) -> None:
        """Give `cleanup` one more line to know. A helper that is gone already is no error: there is nobody to tell."""
        if "\n" in line:
            raise ValueError("one line, please")
        self._write(line.encode("utf-8", "surrogateescape") + b"\n")

    def done(self) -> None:
        """Nothing is left to clean up: end the helper without a cleanup and reap it. Idempotent."""
        if self.fd < 0:
            return
        self._write(_FAREWELL + b"\n")
        os.close(self.fd)
        self.fd = -1
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # reaped by an owner that waits for any child

    def _write(self, data: bytes) -> None:
        try:
            os.write(self.fd, data)
        except OSError:
            pass


def _live(reader: int, keep: FrozenSet[int], cleanup: Callable[[List[str]], None]) -> None:
    """The helper's whole life. Never returns: the owner's stack must not be unwound here."""
    try:
        _settle(keep | {reader})
        lines = _listen(reader)
        if lines is not None:
            cleanup(lines)
    finally:
        os._exit(0)


def _settle(keep: FrozenSet[int]) -> None:
    _rename("medusa-guard")
    signal.set_wakeup_fd(-1)
    for number in _ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN if number in _DEAF_TO else signal.SIG_DFL)
        except OSError:
            continue  # the C library keeps some for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.setsid()  # out of reach of whoever kills the owner's process group
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        if fd not in keep:
            os.dup2(null, fd)
    close_others(keep)


def close_others(keep: AbstractSet[int]) -> None:
    """In a forked child: close all descriptors above 2 but these."""
    for fd in _open_fds():
        if fd > 2 and fd not in keep:
            _close(fd)


def _rename(name: str) -> None:
    """Linux: `pkill` by the owner's name is not meant for its helper."""
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


def _listen(reader: int) -> Optional[List[str]]:
    """The lines told, once the owner is gone; None when it said farewell."""
    heard = b""
    while True:
        data = os.read(reader, 4096)
        if not data:
            break
        heard += data
    lines = heard.split(b"\n")[:-1]
    if lines and lines[-1] == _FAREWELL:
        return None
    return [line.decode("utf-8", "surrogateescape") for line in lines]

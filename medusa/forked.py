"""Forks a helper process that calls one function. The helper drops its parent's signal handlers and descriptors."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import AbstractSet, Callable, Iterable, Iterator

_ALL_SIGNALS = signal.valid_signals()


@contextlib.contextmanager
def blocked_signals() -> Iterator[Callable[[], object]]:
    """Context manager: in the `with` block no signal is delivered, so no handler can raise an exception.

    Yields a function that unblocks the signals before the end of the `with` block. A signal that came while they were
    blocked is delivered when they are unblocked.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)

    def restore() -> object:
        return signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        yield restore
    finally:
        restore()


def fork_helper(run: Callable[[], None], keep_fds: AbstractSet[int], ignored: Iterable[int] = ()) -> int:
    """Forks a process that calls `run` and then ends. Returns its pid; the caller has to reap it.

    Call it inside `with blocked_signals()`. Otherwise one of the caller's signal handlers could run in the helper right
    after the fork. Or a handler could raise an exception in the caller before this function has returned the pid.

    Args:
        run: the function that is called in the helper. The helper ends when `run` returns or raises.
        keep_fds: descriptors above 2 that `run` needs. The helper closes all others.
        ignored: signals that the helper ignores. In the helper, all other signals have the system's default action.

    Raises:
        OSError: the system cannot start another process.
    """
    pid = os.fork()
    if pid == 0:
        _run(run, keep_fds, frozenset(ignored))
    return pid


def close_others(keep: AbstractSet[int]) -> None:
    """Closes all descriptors above 2 except those in `keep`. Call this in a forked child."""
    for fd in _open_fds():
        if fd > 2 and fd not in keep:
            _close(fd)


def _run(run: Callable[[], None], keep_fds: AbstractSet[int], ignored: AbstractSet[int]) -> None:
    """Calls `run` in the forked helper process, then ends this process. Never returns to the code of its parent.

    The arguments are those of `fork_helper`.
    """
    try:
        signal.set_wakeup_fd(-1)
        for number in _ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}:
            try:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
            except OSError:
                continue  # the C library reserves this signal
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        close_others(keep_fds)
        run()
    finally:
        os._exit(0)


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

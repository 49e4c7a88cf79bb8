"""Restores, for the programs that the agent runs, settings that the agent has inherited from the job and changed.

The settings are the blocked and the ignored signals, and the limits of core files and of descriptors.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import Collection, FrozenSet, Iterable, Mapping, Optional, Tuple

from medusa.protocol.record import record

IGNORED_BY_PYTHON = frozenset((signal.SIGPIPE, signal.SIGXFSZ))
"""The signals that Python ignores from its start. MEDUSA_IGNORED tells whether the job ignores them too."""

IGNORED = "MEDUSA_IGNORED"
"""The variable for the signals that the archive's shell script has found ignored: a mask in hexadecimal."""

MAX_DESCRIPTORS = 8192
"""The descriptors that the agent asks for: those of about ten clients with 768 connections each."""

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
"""Options of prctl(2): PR_SET_DUMPABLE protects a process's memory, PR_SET_CHILD_SUBREAPER makes it adopt orphans."""


@record
class Inherited:
    """The settings that the agent has inherited from the job.

    Attributes:
        blocked: the signals that the job has blocked.
        ignored: the signals that the job ignores.
        limits: pairs of a resource, such as RLIMIT_CORE, and its limits (soft, hard).
    """

    blocked: Collection[int] = ()
    ignored: FrozenSet[int] = frozenset()
    limits: Tuple[Tuple[int, Tuple[int, int]], ...] = ()

    @classmethod
    def found(cls, environ: Mapping[str, str], blocked: Optional[Iterable[int]] = None) -> Inherited:
        """Returns the settings that this process has inherited. Call it before the agent changes any of them.

        Args:
            environ: the agent's environment.
            blocked: the signals that the job had blocked before the agent started; None to take those that are blocked
                now.
        """
        ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
        ignored -= {number for number in IGNORED_BY_PYTHON if not _ignored_before(environ.get(IGNORED, ""), number)}
        if blocked is None:
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        limits = [(which, resource.getrlimit(which)) for which in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]
        return cls(tuple(blocked), frozenset(ignored), tuple(limits))

    def unblock(self) -> None:
        """Sets the signals that are blocked: those that the job has blocked, except those that the agent needs."""
        needed = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        signal.pthread_sigmask(signal.SIG_SETMASK, set(self.blocked).difference(needed))

    def restore(self) -> None:
        """Restores all inherited settings. Call it before an exec, for example in a forked child.

        Leaves most of the agent's signal handlers installed, because the exec replaces them by the default actions.
        """
        for number in (*IGNORED_BY_PYTHON, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN if number in self.ignored else signal.SIG_DFL)
        self.restore_limits()
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked)

    def restore_limits(self) -> None:
        """Restores the limits of core files and of descriptors."""
        for which, limits in self.limits:
            resource.setrlimit(which, limits)


NOTHING = Inherited()
"""Nothing to restore."""


def _ignored_before(mask: str, number: int) -> bool:
    try:
        return bool(int(mask, 16) >> (number - 1) & 1)
    except ValueError:
        return False


def no_core_dumps() -> None:
    """Makes this process write no core file, because a core file would contain secrets.

    Sets only the soft limit, so that `Inherited.restore_limits` can restore it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def more_descriptors() -> None:
    """Lets this process have up to MAX_DESCRIPTORS open files, if the hard limit allows it.

    The usual soft limit of 1024 is too low for the connections that several clients may forward.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MAX_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def hide_memory() -> None:
    """Forbids other processes of this user to read this process's memory. Works on Linux only.

    This process then writes no core file either. The programs that it executes are not affected.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Makes the agent adopt the processes that the command leaves behind, in order to reap them.

    Otherwise process 1 would adopt them. In some containers, process 1 does not reap. Works on Linux only; does nothing
    on other systems.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def adopts_orphans() -> bool:
    """True if the agent adopts orphans: `adopt_orphans` was called, and the system supports it."""
    try:
        import ctypes

        found = ctypes.c_int()
        return ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0) == 0 and found.value == 1
    except (ImportError, OSError, AttributeError):
        return False


def _prctl(option: int, value: int) -> None:
    if os.uname().sysname != "Linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass

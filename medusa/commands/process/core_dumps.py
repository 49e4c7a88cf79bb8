"""Keeps secrets out of core dumps: keys, passwords and what users type are in the memory of these programs."""

from __future__ import annotations

import contextlib
import resource
import sys

_PR_SET_DUMPABLE = 4


def limit_core_dumps() -> None:
    """Makes this process, and the processes that it starts from now on, write no core file.

    Sets only the soft limit: an operator who wants a core file may raise it, by prlimit(1).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def forbid_core_dump() -> None:
    """Makes this process write no core file. Does not change the limit (`ulimit -c`) that its children inherit.

    So a job that mlogin starts has the same limit as without this call. Works on Linux only; elsewhere this function
    does nothing.
    """
    if sys.platform == "linux":
        import ctypes  # takes long to import

        with contextlib.suppress(AttributeError, OSError):  # a C library without prctl(2)
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)

"""Recognises a pipe, makes it hold more bytes, and makes a descriptor refer to /dev/null."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys

PIPE_SIZE = 1024 * 1024
"""The size, in bytes, of a pipe through which many bytes pass. So its two ends wait for each other less often.

Other pipes keep their size, because all pipes of a user together can have 64 MiB (pipe(7)).
"""

_F_SETPIPE_SZ, _F_GETPIPE_SZ = 1031, 1032


def enlarge(fd: int) -> None:
    """Makes a pipe hold PIPE_SIZE bytes. Does nothing if `fd` is no pipe, or if the system does not allow it."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            if fcntl.fcntl(fd, _F_GETPIPE_SZ) < PIPE_SIZE:
                fcntl.fcntl(fd, _F_SETPIPE_SZ, PIPE_SIZE)


def is_pipe(fd: int) -> bool:
    """True if `fd` is a pipe or a socket, so that another program may be at its other end."""
    with contextlib.suppress(OSError):
        mode = os.fstat(fd).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


def release(fd: int) -> None:
    """Makes the descriptor `fd` refer to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, fd)
    os.close(null)

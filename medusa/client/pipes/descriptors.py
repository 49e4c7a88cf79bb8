"""Makes a descriptor lead to /dev/null, and a pipe hold more bytes."""

from __future__ import annotations

import contextlib
import fcntl
import os
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


def release(fd: int) -> None:
    """Makes `fd` lead to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, fd)
    os.close(null)

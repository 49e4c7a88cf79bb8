"""Programs that give context to the echo of a key: tmux, mosh without its prediction, and a bare terminal."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.kinds import Relay
from bench.toolchain import require

_ENVIRONMENT = ("env", "TERM=xterm", "LC_ALL=C.UTF-8")
"""mosh wants a locale with UTF-8, and both want a terminal that they know."""


@contextlib.contextmanager
def bare() -> Iterator[Relay]:
    """Context manager for a command that has the user's terminal itself. Yields the program's command line."""
    yield _program("sh", "-c")


@contextlib.contextmanager
def tmux() -> Iterator[Relay]:
    """Context manager for a window of a new tmux server. Yields the program's command line. Ends the server."""
    program = require("tmux")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        server = [program, "-S", str(Path(scratch, "socket")), "-f", "/dev/null"]
        try:
            yield _program(*server, "new-session")
        finally:
            subprocess.run([*server, "kill-server"], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def mosh() -> Iterator[Relay]:
    """Context manager for mosh to a server of its own on this machine. Yields the program's command line."""
    there = ("--local", "--bind-server=127.0.0.1", "127.0.0.1")
    yield _program(require("mosh"), "--predict=never", *there, "--", "sh", "-c")


def _program(*program: str) -> Relay:
    return Relay(port=0, pid=0, flags=("--", *_ENVIRONMENT, *program))

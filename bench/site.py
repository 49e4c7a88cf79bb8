"""Starts what the reflectors of one site share: a directory in a Redis of their own, and a secret."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.processes import reserved_ports, serving
from bench.toolchain import require, require_package


@contextlib.contextmanager
def shared(core: int | None) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Context manager that runs a redis-server, on `core` unless that is None.

    Yields its process id, and the options that make a reflector use it. The server listens on loopback and saves
    nothing.

    Raises:
        Unavailable: redis-server is not installed or did not start.
    """
    require_package("redis")
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        [port] = stack.enter_context(reserved_ports(1))
        pid, _ = stack.enter_context(serving("redis-server", redis_command(scratch, port), core, port))
        secret = _secret_file(scratch)
        yield pid, ("--directory", f"redis://127.0.0.1:{port}", "--site-secret-file", str(secret))


def redis_command(scratch: Path, port: int) -> list[str]:
    """Returns the command of a redis-server that runs in the foreground and writes no file.

    Args:
        scratch: a directory for the server to work in.
        port: the port of loopback to listen on.

    Raises:
        Unavailable: redis-server is not installed.
    """
    unsaved = ["--save", "", "--appendonly", "no"]
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(scratch)]
    return [require("redis-server"), *place, *unsaved, "--daemonize", "no"]


def _secret_file(scratch: Path) -> Path:
    path = scratch / "secret"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    return path

"""What reflectors of one site share: a directory on a Redis of their own, and a secret."""

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
    """Yields the process id of a fresh redis-server, on `core` alone if given, and a reflector's options.

    It listens on loopback and saves nothing; all is gone on leaving. Raises Unavailable.
    """
    require_package("redis")
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        [port] = stack.enter_context(reserved_ports(1))
        pid, _ = stack.enter_context(serving("redis-server", redis_command(scratch, port), core, port))
        secret = _secret_file(scratch)
        yield pid, ("--directory", f"redis://127.0.0.1:{port}", "--site-secret-file", str(secret))


def redis_command(scratch: Path, port: int) -> list[str]:
    """One in the foreground, of which nothing is written. Raises Unavailable."""
    unsaved = ["--save", "", "--appendonly", "no"]
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(scratch)]
    return [require("redis-server"), *place, *unsaved, "--daemonize", "no"]


def _secret_file(scratch: Path) -> Path:
    path = scratch / "secret"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    return path

"""Processes of the benchmark: pinned, watched until they serve, and ended on every way out."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench.toolchain import HERE, Unavailable, require

START_LIMIT = 20.0
STOP_LIMIT = 5.0
_POLL = 0.01
_LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def pinned(core: int | None, ending: str = "TERM") -> list[str]:
    """What keeps the command that follows it on `core`, and sends it the signal `ending` when the benchmark dies."""
    if core is None:
        return []
    return [require("setpriv"), "--pdeathsig", ending, require("taskset"), "-c", str(core)]


@contextlib.contextmanager
def serving(name: str, command: list[str], core: int | None, port: int | None) -> Iterator[tuple[int, str]]:
    """Runs `command` until left; yields its process id and the line that it printed when it began to serve.

    With `port`, what says that it serves is that somebody listens there, and the line is empty. Raises Unavailable.
    """
    output = subprocess.PIPE if port is None else subprocess.DEVNULL
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*pinned(core), *command],
            bufsize=0,  # select sees no line that a buffer has taken
            cwd=HERE.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
        )
        try:
            line = _await_line(process) if port is None else _await_listener(process, port)
            if line is None:
                raise Unavailable(f"{name} did not start:\n{_tail(log)}")
            yield process.pid, line
        finally:
            _stop(process)


def descendants(pid: int) -> list[int]:
    """The processes that come from `pid`, itself first; empty when it is gone."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [pid] if pid in parents else []
    for parent in found:
        found.extend(child for child, of in parents.items() if of == parent)
    return found


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Free ports of loopback, for programs that cannot be told 0.

    Each is held by a bound socket that does not listen: nobody else is given it, and who sets SO_REUSEADDR may listen.
    """
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            holder = held.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            ports.append(holder.getsockname()[1])
        yield ports


def _await_line(process: subprocess.Popen[bytes]) -> str | None:
    assert process.stdout is not None
    deadline = time.monotonic() + START_LIMIT
    while (left := deadline - time.monotonic()) > 0 and select.select([process.stdout], [], [], left)[0]:
        line = process.stdout.readline().decode(errors="replace")
        if not line or re.search(r"^listening ", line):
            return line or None
    return None


def _await_listener(process: subprocess.Popen[bytes], port: int) -> str | None:
    # Not by connecting: socat takes one connection in its life, and a forwarder would dial out for it.
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if _listens(port):
            return ""
        time.sleep(_POLL)
    return None


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return any(local == wanted and state == _LISTEN for _, local, _, state, *_ in lines)


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read()[-2000:].decode(errors="replace").strip() or "it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    brood = descendants(process.pid)[1:]
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    # Children of an ended process, such as sshd's, end when they see their connections end.
    if not _ended(brood):
        for pid in filter(runs, brood):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _ended(brood)


def _ended(brood: list[int]) -> bool:
    deadline = time.monotonic() + STOP_LIMIT
    while any(map(runs, brood)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody waited for has."""
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False

"""Runs the processes of the benchmark: pins each to a core, waits until it serves, and always ends it."""

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

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
_POLL_INTERVAL = 0.01
"""Seconds."""

_LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def pinned(core: int | None, ending: str = "TERM") -> list[str]:
    """Returns a prefix for a command: it keeps the command on `core`, and sends it a signal when the benchmark ends.

    Args:
        core: the number of the core; None for any.
        ending: the name of the signal.
    """
    place = [] if core is None else [require("taskset"), "-c", str(core)]
    return [require("setpriv"), "--pdeathsig", ending, *place]


@contextlib.contextmanager
def serving(
    name: str,
    command: list[str],
    core: int | None,
    port: int | None,
    stop_timeout: float = STOP_TIMEOUT,
    host: str = "127.0.0.1",
) -> Iterator[tuple[int, str]]:
    """Context manager that runs `command`. Yields its process id and the line `listening ...` that it printed.

    On leaving the context, sends the process SIGTERM. Kills it and its descendants if they have not ended after
    `stop_timeout` seconds.

    Args:
        name: the name of the program, for an error.
        core: the core to run the process on; None for any.
        port: if it is given, the process serves as soon as a socket listens on this port. Then the line is empty.
        host: the IPv4 address at which that socket listens, in the network namespace of the process.

    Raises:
        Unavailable: the process did not begin to serve within START_TIMEOUT seconds.
    """
    output = subprocess.PIPE if port is None else subprocess.DEVNULL
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*pinned(core), *command],
            bufsize=0,  # without a buffer, because select does not see a line that is in one
            cwd=HERE.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
        )
        try:
            line = _await_line(process) if port is None else _await_listener(process, host, port)
            if line is None:
                raise Unavailable(f"{name} did not start:\n{_tail(log)}")
            yield process.pid, line
        finally:
            _stop(process, stop_timeout)


def descendants(pid: int) -> list[int]:
    """Returns `pid` and the pids of all its descendants, `pid` first. The list is empty if the process is gone."""
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
    """Context manager that reserves free ports of loopback, for programs that do not accept port 0. Yields the ports.

    A socket is bound to each port but does not listen. So the kernel gives the port to no other program, and a program
    that sets SO_REUSEADDR may listen on it.
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
    deadline = time.monotonic() + START_TIMEOUT
    while (left := deadline - time.monotonic()) > 0 and select.select([process.stdout], [], [], left)[0]:
        line = process.stdout.readline().decode(errors="replace")
        if not line or re.search(r"^listening ", line):
            return line or None
    return None


def _await_listener(process: subprocess.Popen[bytes], host: str, port: int) -> str | None:
    # Do not test the port with a connection: socat accepts only one, and a forwarder would dial out for it.
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if _listens(process.pid, host, port):
            return ""
        time.sleep(_POLL_INTERVAL)
    return None


def _listens(pid: int, host: str, port: int) -> bool:
    wanted = f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()]
    except OSError:  # the process has ended
        return False
    return any(local == wanted and state == _LISTEN for _, local, _, state, *_ in lines)


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read()[-2000:].decode(errors="replace").strip() or "it printed nothing"


def _stop(process: subprocess.Popen[bytes], timeout: float) -> None:
    offspring = descendants(process.pid)[1:]
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    # The children of sshd end by themselves when their connections end.
    if not _ended(offspring, timeout):
        for pid in filter(runs, offspring):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _ended(offspring, timeout)


def _ended(offspring: list[int], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while any(map(runs, offspring)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_INTERVAL)
    return True


def runs(pid: int) -> bool:
    """True if the process exists and is not a zombie."""
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False

"""Ports for programs that do not accept port 0, and ports that swallow packets."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import MS

HOST = "127.0.0.1"

_LOWEST, _ENOUGH = 10_000, 10_000
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_given: set[int] = set()


def free_port() -> int:
    """A free port of loopback, below the range from which the kernel gives ports to programs that bind to 0.

    No other test of this run gets the port, also in another process of pytest-xdist. It is not held, unlike those of
    bench.processes.reserved_ports: a program may listen there, end and start again.
    """
    kernels = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = secrets.choice(range(_LOWEST + _PROCESS, max(kernels, _LOWEST + _ENOUGH), _PROCESSES))
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as sock:
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
        return port


def listens(port: int) -> bool:
    """Whether a program accepts connections at this port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False


@contextlib.contextmanager
def swallowing(host: str, port: int) -> Iterator[None]:
    """A port that swallows packets, as a firewall does: its queue is full, so that the kernel drops each SYN."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server may have ended there just now
        listener.bind((host, port))
        listener.listen(0)
        connected = True
        while connected:
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            assert sock.connect_ex((host, port)) in (0, errno.EINPROGRESS)
            connected = bool(select.select([], [sock], [], 100 * MS)[1])
        yield


def dials(pid: int, port: int) -> bool:
    """Whether a process waits for the answer to a SYN that it has sent to this port."""
    inodes = {os.readlink(fd).removeprefix("socket:[").removesuffix("]") for fd in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(at.endswith(f":{port:04X}") and state == "02" and line[5] in inodes for _, _, at, state, *line in lines)

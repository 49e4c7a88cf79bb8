"""Ports for programs that do not accept port 0."""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path

HOST = "127.0.0.1"

_LOWEST, _ENOUGH = 10_000, 10_000


def free_port() -> int:
    """A free port of loopback, below the range from which the kernel gives ports to programs that bind to 0.

    The port is not held, unlike those of bench.processes.reserved_ports: a program may listen there, end and start
    again.
    """
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = secrets.choice(range(_LOWEST, max(given, _LOWEST + _ENOUGH)))
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

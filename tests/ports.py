"""Ports for programs that cannot be told 0."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

HOST = "127.0.0.1"

_LOWEST, _ENOUGH = 10_000, 10_000


def free_port() -> int:
    """One that nobody has at this moment, nor is given who asks for any: those come from a range above, as a rule.

    It is not held, as bench.processes.reserved_ports would: what listens there may end and start again.
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

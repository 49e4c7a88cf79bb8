"""Ports for programs that cannot be told 0."""

from __future__ import annotations

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"

_LOWEST = 10_000
_random = random.SystemRandom()


def free_port() -> int:
    """One that nobody has at this moment, and that nobody is given who asks for any: those come from a range above."""
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = _random.randrange(_LOWEST, highest)
        with socket.socket() as sock:
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
        return port

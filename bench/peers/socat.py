"""socat between two listening ports: one pair in its life, copied by read and write."""

from __future__ import annotations

from pathlib import Path

from bench.peers.forwarder import Ports, Process
from bench.toolchain import require

BLOCK = 65536
"""Bytes a read; socat's own 8 KiB would halve its throughput."""


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """One process. It opens its second port when somebody has come to the first."""
    ends = [f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay" for port in (ports.entry, ports.exit)]
    return [Process([require("socat"), "-b", str(BLOCK), *ends], ports.entry)]

"""socat between two listening ports: it serves one pair, copies the bytes with read and write, and then ends."""

from __future__ import annotations

from pathlib import Path

from bench.peers.forwarder import Ports, Process
from bench.toolchain import require

BLOCK = 65536
"""The number of bytes that socat reads at once. Its default of 8 KiB would halve its throughput."""


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: one socat. It opens its second port after a client has connected to the first."""
    ends = [f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay" for port in (ports.entry, ports.exit)]
    return [Process([require("socat"), "-b", str(BLOCK), *ends], ports.entry)]

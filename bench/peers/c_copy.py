"""The smallest possible relay, in C (c_copy.c). Its speed is about the best that a relay of raw bytes could reach."""

from __future__ import annotations

from pathlib import Path

from bench.peers.forwarder import Ports, Process
from bench.toolchain import compiled


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: one, which serves one pair."""
    return [Process([str(compiled(Path(__file__).with_suffix(".c"))), str(ports.entry), str(ports.exit)], ports.entry)]

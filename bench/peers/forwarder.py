"""What a peer that forwards bytes between two ports says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ports:
    """Free ports of loopback: clients dial in at `entry`, the far side is met at `exit`; `inner` is the peer's own."""

    entry: int
    exit: int
    inner: int


@dataclass(frozen=True)
class Process:
    """One of a peer's processes, started in their order; it serves as soon as somebody listens on `port`."""

    command: list[str]
    port: int

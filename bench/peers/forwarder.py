"""Records for contestants that forward bytes between two ports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ports:
    """Free ports of loopback. Clients dial `entry`, the far side is at `exit`, and `inner` is for the relay itself."""

    entry: int
    exit: int
    inner: int


@dataclass(frozen=True)
class Process:
    """A process of the relay. The processes are started in order; one serves as soon as a socket listens on `port`."""

    command: list[str]
    port: int

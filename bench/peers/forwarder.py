"""Records for relays that forward bytes between two ports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ports:
    """Free ports of loopback for one relay.

    The load generator's clients dial `entry`. Its far side is at `exit`. The relay may use `inner` between its
    processes.
    """

    entry: int
    exit: int
    inner: int


@dataclass(frozen=True)
class Process:
    """A process of the relay. It is ready as soon as a socket listens on `port`.

    The processes of a relay start in order: each one starts when the one before it is ready.
    """

    command: list[str]
    port: int

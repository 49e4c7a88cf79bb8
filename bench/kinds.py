"""The kinds of contestants, and a contestant that runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import account
from bench.peers import forwarder


@dataclass(frozen=True)
class Relay:
    """A running relay, which serves on a port of loopback.

    Attributes:
        port: the port, or 0 if there is none.
        pid: the pid of the relay's main process, or 0 if the load generator starts all its processes.
        flags: the last arguments of the load generator for this relay.
        helpers: pids of processes that do a part of its work and are not its children.
    """

    port: int
    pid: int
    flags: tuple[str, ...] = ()
    helpers: tuple[int, ...] = ()

    @property
    def pids(self) -> tuple[int, ...]:
        """The pids of the relay's processes. The load generator measures them and their descendants."""
        return tuple(pid for pid in (self.pid, *self.helpers) if pid)


@dataclass(frozen=True)
class RelayKind:
    """A relay that pairs clients and agents, like the reflector.

    When it serves, it prints the line `listening http://127.0.0.1:PORT`.

    Attributes:
        command: returns the command line that starts it.
        backpressure: a few words that say how it limits the bytes in its memory.
        raw: True to measure its raw port. Then the line ends with ` raw tcp://127.0.0.1:PORT`.
        tls: True if it speaks TLS. Then the line has `https`.
        signed: True if the load generator has to sign its requests; see bench/account.py.
    """

    name: str
    command: Callable[[], list[str]]
    backpressure: str
    raw: bool = False
    tls: bool = False
    signed: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """The options that make the load generator speak this relay's protocol."""
        if self.raw:
            return ("--raw", "--raw-greeting")
        return (*(("--tls",) if self.tls else ()), *(account.made().flags if self.signed else ()))


@dataclass(frozen=True)
class ForwarderKind:
    """A relay that copies bytes between two ports and has no sessions. See bench/peers/forwarder.py.

    Attributes:
        processes: returns the processes to start. Its arguments are a directory for files, and the ports.
        slave_flag: the option that makes the load generator dial the port at the far end, or listen on it.
        backpressure: a few words that say how it limits the bytes in its memory.
        flags: more options of the load generator.
        tls: True if it speaks TLS at both ends.
    """

    name: str
    processes: Callable[[Path, forwarder.Ports], list[forwarder.Process]]
    slave_flag: str
    backpressure: str
    flags: tuple[str, ...] = ()
    tls: bool = False


@dataclass(frozen=True)
class SiteKind:
    """Several reflectors that share a directory, measured as one relay. Clients dial the first, agents the last.

    Attributes:
        doors: the number of reflectors.
        backpressure: a few words that say how they limit the bytes in their memory.
    """

    name: str
    doors: int
    backpressure: str


@dataclass(frozen=True)
class SessionKind:
    """A program that runs a command elsewhere. See bench/loads, which is its load generator.

    Attributes:
        start: a context manager that starts what the program needs, and yields it as a Relay. The Relay's flags end
            with the program's command line, to which a command is added.
        backpressure: a few words that say how it limits the bytes in its memory.
    """

    name: str
    start: Callable[[], contextlib.AbstractContextManager[Relay]]
    backpressure: str


Kind = RelayKind | ForwarderKind | SiteKind | SessionKind

"""Sessions over a long link: which program is at which end, and how they are started there. See peers/long_link.py."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.kinds import Relay, SessionKind
from bench.peers import sshd
from bench.processes import serving
from bench.toolchain import Unavailable, require

SSH_PORT = 2222
"""The port of the sshd. Each link has network namespaces of its own, in which all ports are free."""

_PORT = re.compile(r":(\d+)")


@dataclass(frozen=True)
class End:
    """One end of a link: its address, and the prefix of a command that runs there."""

    address: str
    enter: tuple[str, ...]


def contestants(round_trip: float = 0.1, *, rate: float = 0.0, loss: float = 0.0) -> tuple[SessionKind, ...]:
    """Returns the sessions to compare, which all have the same round trip between the user and the job.

    Args:
        round_trip: seconds.
        rate: bytes a second that the link passes each way; 0 for no limit.
        loss: the share of packets that the link drops.
    """
    link, half = (partial(long_link, seconds, rate, loss) for seconds in (round_trip, round_trip / 2))
    windows = "channel windows, 4 MiB"
    return (
        SessionKind("client-far", lambda: _one_far(link, client=True), windows),
        SessionKind("agent-far", lambda: _one_far(link, client=False), windows),
        SessionKind("both-far", lambda: _both_far(half), windows),
        SessionKind("ssh-far", lambda: _far_ssh(link), "channel window, 2 MiB"),
    )


@contextlib.contextmanager
def long_link(round_trip: float, rate: float = 0.0, loss: float = 0.0) -> Iterator[tuple[End, End, int]]:
    """Context manager that makes a long link. Yields its two ends, and the pid of the process that passes the packets.

    Args:
        round_trip, rate, loss: see `contestants`.

    Raises:
        Unavailable: it cannot be made here.
    """
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        raise Unavailable("a long link needs root and /dev/net/tun")
    for tool in ("ip", "nsenter", "unshare"):
        require(tool)
    command = [sys.executable, "-m", "bench.peers.long_link", "--round-trip", str(round_trip)]
    with serving("a long link", [*command, "--rate", str(rate), "--loss", str(loss)], None, port=None) as (pid, line):
        _, here, near, there, far = line.split()
        yield _end(here, near), _end(there, far), pid


Link = Callable[[], contextlib.AbstractContextManager[tuple[End, End, int]]]


def _end(address: str, pid: str) -> End:
    return End(address, (require("nsenter"), "--net", f"--target={pid}"))


_MLOGIN = (sys.executable, "-m", "medusa.commands.mlogin")
_MEDUSA = (sys.executable, "-m", "medusa")


@contextlib.contextmanager
def reflector_at(at: End) -> Iterator[tuple[int, int, list[str]]]:
    """Context manager that runs a reflector. Yields its port and pid, and the options that name it."""
    command = [*at.enter, *_MEDUSA, "reflector", "--port", "0", "--bind-ip", at.address, "--trusted-network"]
    with serving("medusa", command, None, port=None) as (pid, line):
        found = _PORT.search(line)
        if found is None:
            raise Unavailable(f"the reflector does not say where it serves: {line.strip()}")
        port = int(found[1])
        yield port, pid, ["--config", os.devnull, "--reflector", f"http://{at.address}:{port}"]


@contextlib.contextmanager
def _one_far(link: Link, client: bool) -> Iterator[Relay]:
    """Runs one of two programs far from the reflector: the client's if `client`, else the job."""
    with link() as (near, far, pid), reflector_at(near) as (port, reflector, options):
        here, there = (far, near) if client else (near, far)
        job = [*there.enter, *_MLOGIN, "-q", *options, "--name", "target", "-c", "echo listening here; sleep 10000"]
        with serving("mlogin", job, None, port=None) as (mlogin, _):
            program = [*here.enter, *_MEDUSA, "exec", "target", *options, "--", "sh", "-c"]
            yield Relay(port, reflector, ("--", *program), (pid, mlogin))


@contextlib.contextmanager
def _both_far(link: Link) -> Iterator[Relay]:
    """Runs the reflector near, and the client's program and the job far from it."""
    with link() as (near, far, pid), reflector_at(near) as (port, reflector, options):
        yield Relay(port, reflector, ("--", *far.enter, *_MLOGIN, "-q", *options, "-c"), (pid,))


@contextlib.contextmanager
def _far_ssh(link: Link) -> Iterator[Relay]:
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        near, far, pid = stack.enter_context(link())
        server, program = sshd.session(scratch, SSH_PORT, near.address)
        command = [*near.enter, *server.command]
        server_pid, _ = stack.enter_context(serving("sshd", command, None, SSH_PORT, host=near.address))
        yield Relay(SSH_PORT, server_pid, ("--terminal-option=-tt", "--", *far.enter, *program), (pid,))

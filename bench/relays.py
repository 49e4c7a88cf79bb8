"""The relays under test: how each is started, pinned to one core, and ended."""

from __future__ import annotations

import contextlib
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.toolchain import HERE, Unavailable, require

START_LIMIT = 20.0
STOP_LIMIT = 5.0
_LISTENING = re.compile(rb"listening http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class RelayKind:
    """One contestant. `command` yields its command line; it prints `listening http://127.0.0.1:PORT` when it serves."""

    name: str
    command: Callable[[], list[str]]
    backpressure: str


KINDS = {
    kind.name: kind
    for kind in (
        RelayKind("medusa", lambda: [sys.executable, "-m", "medusa", "reflector", "--port", "0"], "pull pump"),
        RelayKind("ws", lambda: [require("node"), str(HERE / "peers" / "ws_relay.js")], "pause above 4 MiB unsent"),
        RelayKind("watershed", lambda: [require("node"), str(HERE / "peers" / "watershed_relay.js")], "none"),
    )
}


@dataclass(frozen=True)
class Relay:
    """A relay process that serves on loopback."""

    port: int
    pid: int


@contextlib.contextmanager
def running(kind: RelayKind, core: int | None = None) -> Iterator[Relay]:
    """A fresh process of `kind`, on `core` alone if given; ended on leaving. Raises Unavailable if none starts."""
    pin = [] if core is None else [require("taskset"), "-c", str(core)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*pin, *kind.command()], cwd=HERE.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
        try:
            port = _await_port(process)
            if port is None:
                log.seek(0)
                raise Unavailable(f"{kind.name} did not start:\n{log.read()[-2000:].decode(errors='replace').strip()}")
            yield Relay(port, process.pid)
        finally:
            _stop(process)


def _await_port(process: subprocess.Popen[bytes]) -> int | None:
    assert process.stdout is not None
    deadline = time.monotonic() + START_LIMIT
    while (left := deadline - time.monotonic()) > 0 and select.select([process.stdout], [], [], left)[0]:
        line = process.stdout.readline()
        found = _LISTENING.search(line)
        if found or not line:
            return int(found[1]) if found else None
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()

"""Lets the peers of very many sessions come back after their reflector was killed: `python -m bench.storm`.

The reflector has one core. Prints how long it takes until all sessions are linked again, and how long a keystroke takes
meanwhile: of a session at the same reflector, and of one at another reflector on the same core.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.processes import descendants, pinned, reserved_ports, serving
from bench.toolchain import HERE

CORE, LOAD_CORE = 0, 1
TIMEOUT = 180.0


class Child:
    """A process of bench.storm_peers on the load's core."""

    def __init__(self, *arguments: int, nice: int = 0) -> None:
        command = [*pinned(LOAD_CORE), "nice", "-n", str(nice), sys.executable, "-m", "bench.storm_peers"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*command, *map(str, arguments)], stdin=pipe, stdout=pipe, cwd=HERE.parent, text=True
        )

    def line(self) -> Any:
        """Returns the next line of JSON."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def end(self) -> Any:
        """Ends the process. Returns its last line of JSON, if it has one."""
        out, _ = self._process.communicate(timeout=TIMEOUT)
        return json.loads(out.splitlines()[-1]) if out else None


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000, metavar="N", help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of the reflector (%(default)s)")
    options = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        port, beside = stack.enter_context(reserved_ports(2))
        print("| What | Figure |\n|---|---|")
        for what, figure in measure(scratch, port, beside, options.sessions, options.workers):
            print("| %s | %s |" % (what, figure), flush=True)


def measure(scratch: Path, port: int, beside: int, sessions: int, workers: int) -> Iterator[tuple[str, str]]:
    """Yields what was measured, and the figure.

    Args:
        scratch: an empty directory.
        port: where the reflector listens.
        beside: where the second reflector listens.
        sessions: how many sessions there are.
        workers: the number of the reflector's workers.
    """
    with ExitStack() as stack:
        stack.enter_context(_reflector(scratch / "beside", beside, 1))
        share = -(-sessions // 2)
        with _reflector(scratch / "storm", port, workers) as pid:
            begun = time.monotonic()
            peers = [Child(port, at, min(share, sessions - at), nice=3) for at in range(0, sessions, share)]
            at = max(each.line()["linked_at"] for each in peers)
            yield "sessions, each with three connections; workers", "%d; %d" % (sessions, workers)
            yield "set up, 64 at a time", "%.1f s" % (at - begun)
            yield from _keys("a key at rest", [Child(port), Child(beside)], 3.0)
            before = Child(beside)
            _kill(pid)
        begun = time.monotonic()
        with _reflector(scratch / "storm", port, workers) as pid:
            listening, here = time.monotonic(), Child(port)
            lines = [each.line() for each in peers]
            linked = max(line["linked_at"] for line in lines)
            yield "from the start of the new process until it listens", "%.1f s" % (listening - begun)
            yield "from its start until all sessions are linked again", "%.1f s" % (linked - begun)
            yield "processor time of the reflector until then", "%.1f s" % _processor(pid)
            yield from _keys("a key meanwhile", [here, before], 0.0)
            yield "attempts that failed", json.dumps([line["refused"] for line in lines])
            for each in peers:
                each.end()


def _keys(what: str, children: list[Child], seconds: float) -> Iterator[tuple[str, str]]:
    time.sleep(seconds)
    for where, child in zip(("the same reflector", "another one, same core"), children, strict=True):
        found = child.end()
        if not found:
            continue  # it has not got into its session
        yield (
            f"{what}, {where}: p50, p99, most; above 20 ms",
            "%.1f, %.1f, %.1f ms; %d of %d"
            % (
                found["p50"],
                found["p99"],
                found["max"],
                found["late"],
                found["keys"],
            ),
        )


@contextmanager
def _reflector(state: Path, port: int, workers: int) -> Iterator[int]:
    options = ["--port", str(port), "--state-dir", str(state), "--workers", str(workers), "--max-sessions", "0"]
    command = [sys.executable, "-m", "medusa", "reflector", *options]
    with serving("medusa", command, CORE, None) as (pid, _):
        yield pid


def _kill(pid: int) -> None:
    """Kills a reflector with all its workers."""
    for child in descendants(pid):
        os.kill(child, signal.SIGKILL)


def _processor(pid: int) -> float:
    """Returns the seconds of processor time that a process and its descendants have had."""
    return sum(int(Path(f"/proc/{each}/schedstat").read_text().split()[0]) for each in descendants(pid)) / 1e9


if __name__ == "__main__":
    main()

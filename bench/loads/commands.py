"""Measures the output of a command."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.loads.delays import percentiles, repeated
from bench.loads.programs import END_TIMEOUT, START_TIMEOUT, TAIL, Failed, Session, file_of, on_pipes, on_terminal

LINE = b"the quick brown fox jumps over the lazy dog 0123456789 and so on to the end\n"

SLOW_READ = 4096
"""Bytes that a slow terminal reads at once."""


def pipe(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast the bytes of a file come out of `cat` through a pipe."""
    block = os.urandom(1 << 20)
    with file_of(block, options.size) as (path, size), on_pipes([*options.program, f"cat {path}"]) as session:
        return session.read_all(size)


def pipe_up(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast the bytes of a pipe arrive at the input of a command."""
    with on_pipes([*options.program, "echo; cat | wc -c"], to_command=True) as session:
        session.read(SLOW_READ, START_TIMEOUT)
        return session.write_all(os.urandom(1 << 20), options.size)


def first_output(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how long a program takes to connect, and to pass on the first output of a command."""
    taken = []
    for _ in range(options.count):
        begun = time.monotonic()
        with on_pipes([*options.program, "echo hi"]) as session:
            while session.read(SLOW_READ, START_TIMEOUT):
                pass
            if session.process.wait(END_TIMEOUT) != 0 or session.tail != b"hi\n":
                raise Failed(f"status {session.process.returncode}, {session.tail[-TAIL:]!r}")
        taken.append(session.first - begun)
    return {"first_output_ms": round(1e3 * statistics.median(taken), 1)}


def terminal(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast the lines of a file come out of `cat` on a terminal."""
    with file_of(LINE * 1000, options.size) as (path, size), on_terminal([*options.program, f"cat {path}"]) as session:
        return session.read_all(size // len(LINE) * (len(LINE) + 1))  # the terminal adds a CR to each LF


def keys(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how long a key takes to the terminal of the command and, as its echo, back to the user's terminal."""
    with on_terminal([*options.program, "stty raw; echo ready; exec cat >/dev/null"]) as session:
        while b"ready" not in session.tail and session.read(SLOW_READ, START_TIMEOUT):
            pass

        def press() -> None:
            before = session.received
            os.write(session.fd, b"x")
            while session.read(SLOW_READ, END_TIMEOUT):
                if b"x" in session.tail[before - session.received :]:  # tmux and mosh also move the cursor
                    return
            raise Failed(f"no echo, but {session.tail[-TAIL:]!r}")

        return {"rtt_us": percentiles(repeated(options.count, press))}


def stale(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how many bytes a slow terminal still gets after a Control-C has ended an endless output."""
    with on_terminal([*options.program, "yes"]) as session:
        session.read(SLOW_READ, START_TIMEOUT)
        _read_slowly(session, options.rate, lambda: time.monotonic() - session.first >= options.duration)
        before = session.received
        os.write(session.fd, b"\x03")
        begun = time.monotonic()
        _read_slowly(session, options.rate, lambda: False)
        session.process.wait(END_TIMEOUT)
        return {"stale_MB": (session.received - before) / 1e6, "end_s": round(session.last - begun, 3)}


def _read_slowly(session: Session, rate: float, over: Callable[[], bool]) -> None:
    """Reads at most `rate` bytes a second, to the end of the output, or until `over` returns True."""
    begun, before = time.monotonic(), session.received
    while not over() and session.read(SLOW_READ, END_TIMEOUT):
        ahead = (session.received - before) / rate - (time.monotonic() - begun)
        if ahead > 0:
            time.sleep(ahead)

"""Measures copies of files by a program like scp, and the first command over a new connection of a program like ssh."""

from __future__ import annotations

import argparse
import filecmp
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.loads.programs import END_TIMEOUT, TAIL, Failed

SMALL = 1024
"""Bytes of a small file."""

FOLDER = 500
"""Files in a directory."""


def copy(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how long a program takes to copy a file, or a tree of `--count` small files, if that is more than one.

    The other side is on this machine too. Compares the copy with the original afterwards.
    """
    program = list(options.program)
    if os.path.basename(program[0]) == "ssh":  # its options are those of scp
        program[0] = str(Path(program[0]).with_name("scp"))
        program[-1] += ":"
    *command, place = program
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        source, target = Path(scratch, "from"), Path(scratch, "to")
        size = _make(source, options.size, options.count)
        words = [str(source), f"{place}{target}"] if options.up else [f"{place}{source}", str(target)]
        seconds = _run([*command, *(["-r"] if options.count > 1 else []), *words])
        _compare(source, target, options.count)
    return {"MBps": round(size / 1e6 / seconds, 1), "files_per_s": round(options.count / seconds, 1)}


def first(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how long a program takes to connect, to run a command that does nothing, and to end."""
    taken = [_run([*options.program, "true"]) for _ in range(options.count)]
    return {"first_ms": round(1e3 * statistics.median(taken), 1)}


def _run(command: list[str]) -> float:
    """Returns how many seconds a program takes. Raises Failed if its status is not 0."""
    begun = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=END_TIMEOUT, check=False)
    if done.returncode != 0:
        raise Failed(f"status {done.returncode}: {done.stderr[-TAIL:].decode(errors='replace')}")
    return time.monotonic() - begun


def _make(source: Path, size: int, count: int) -> int:
    """Makes a file of about `size` bytes, or a tree of `count` small ones. Returns the number of bytes."""
    if count == 1:
        block = os.urandom(1 << 20)
        with source.open("wb") as file:
            for _ in range(max(1, size // len(block))):
                file.write(block)
            return file.tell()
    for number in range(count):
        path = source / str(number // FOLDER) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL))
    return count * SMALL


def _compare(source: Path, target: Path, count: int) -> None:
    """Raises Failed if the copy differs from the original."""
    if count == 1:
        same = filecmp.cmp(source, target, shallow=False)
    else:
        found = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
        same = len(found) == count and filecmp.cmpfiles(source, target, found, shallow=False)[0] == found
    if not same:
        raise Failed("the copy differs from the original")

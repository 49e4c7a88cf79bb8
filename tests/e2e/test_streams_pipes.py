"""Commands on pipes as a user writes them, in lines of a shell: every byte, both ends, every status."""

from __future__ import annotations

import hashlib
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.own_sessions import environ, train
from tests.terminals import MLOGIN
from tests.waiting import PATIENCE

BIG = random.Random(1).randbytes(5_000_000)
FILES = 100


class Line(NamedTuple):
    """A line for bash; what it writes, and the statuses of the programs in its last pipe.

    $M is mlogin, which starts a session of its own. $E is `medusa exec` in a session that runs: it starts in less time.
    """

    script: str
    out: bytes = b""
    statuses: str = "0"
    err: bytes = b""


LINES = {
    "bytes in": Line("$E -- sha256sum < big", f"{hashlib.sha256(BIG).hexdigest()}  -\n".encode()),
    "bytes out": Line("$E -n -- 'cat big'", BIG),
    "tar in": Line("tar c -C files . | $E -- 'mkdir in; tar x -C in'; diff -r files in", b""),
    "tar out": Line("mkdir out; $E -n -- 'tar c -C files .' | tar x -C out; diff -r files out", b""),
    "stderr apart": Line("$M -n -c 'echo out; echo err >&2; exit 3'", b"out\n", "3", b"err\n"),
    "control bytes": Line(r"printf '\003\004\n\0' | $E -- 'od -An -c'", b" 003 004  \\n  \\0\n", "0 0"),
    "reader that ends": Line("yes | $E -- 'head -1'", b"y\n", "141 0"),
    "reader here that ends": Line("$M -n -c yes | head -1", b"y\n", "141 0"),
    "no input": Line(": | $E -- 'wc -c'", b"0\n", "0 0"),
    "no last newline": Line("printf 'a\nb' | $E -- cat", b"a\nb", "0 0"),
    "killed": Line("$E -n -- 'kill -9 $$'", b"", "137"),
    "in a loop": Line("printf '1\\n2\\n' | while read x; do $E -n -- \"echo $x\"; done", b"1\n2\n", "0 0"),
    "a shell": Line("echo 'tty; exit 5' | $E", b"not a tty\n", "0 5"),
}


@pytest.fixture
def place(home: Path) -> Path:
    """A directory with a large file and a directory of many small ones, in which the lines run."""
    place = home.parent / "place"
    (place / "files").mkdir(parents=True)
    (place / "big").write_bytes(BIG)
    for number in range(FILES):
        (place / "files" / str(number)).write_bytes(BIG[number : 3 * number])
    return place


def test_lines(home: Path, place: Path) -> None:
    with train(home):
        here = ["--cwd", str(place)]
        own, joining = [*MLOGIN, "-q", *here], [sys.executable, "-m", "medusa", "exec", "train", *here]
        programs = {"M": shlex.join(own), "E": shlex.join(joining)}
        started = {name: start(line.script, place, {**environ(home), **programs}) for name, line in LINES.items()}
        results = {name: finish(process) for name, process in started.items()}
    assert {name: line for name, line in results.items() if line != LINES[name][1:]} == {}


def start(script: str, place: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    command = ["bash", "-c", f'{script}\nprintf "%s " "${{PIPESTATUS[@]}}" >&2']
    return subprocess.Popen(
        command, cwd=place, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[bytes, str, bytes]:
    """The output of a line, the statuses that it has written, and what its programs have written to stderr."""
    out, err = process.communicate(timeout=6 * PATIENCE)
    *words, statuses = err.rpartition(b"\n")
    return out, statuses.decode().strip(), b"".join(words)

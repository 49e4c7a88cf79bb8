from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agent import log
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[3]


def run(script: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from agent.log import log\n" + script]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, timeout=PATIENCE, **more)  # type: ignore[call-overload, no-any-return]


def test_one_line_without_control_characters() -> None:
    done = run(r"log('a\nb\x1b[31m\u202e\udcff' + 'x' * 5000)")
    assert done.stderr.startswith(rb"medusa agent: a\x0ab\x1b[31m\u202e\udcffxxx")
    assert done.stderr.count(b"\n") == 1
    assert len(done.stderr) < 1200


def test_closed_stderr_is_no_error() -> None:
    assert run("import os; os.close(2); log('x')").returncode == 0


def test_stderr_that_nobody_reads_does_not_stop_the_loop() -> None:
    reader, writer = os.pipe()
    script = "for _ in range(1000): log('x' * 500)\nprint('done')"
    command = [sys.executable, "-c", "from agent.log import log\n" + script]
    done = subprocess.run(command, cwd=ROOT, stderr=writer, stdout=subprocess.PIPE, timeout=PATIENCE)
    assert done.stdout == b"done\n"
    os.close(writer)
    text = b"".join(iter(lambda: os.read(reader, 65536), b""))
    os.close(reader)
    assert {len(line) for line in text.splitlines()} == {500 + len("medusa agent: ")}
    assert log.MAX_LINE < 4096  # PIPE_BUF of Linux: what a writable pipe takes whole

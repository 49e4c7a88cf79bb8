"""A reflector that somebody has started by hand, and the end of the terminal."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import pytest

from tests.reflectors import command
from tests.terminals import environment, terminal
from tests.waiting import PATIENCE, wait_until
from tests.workers import gone


@pytest.mark.parametrize(
    ("before", "after", "workers", "drains"),
    [
        ("", "&", 1, True),
        ("", "", 2, True),
        ("nohup", "&", 1, False),
        ("exec", "", 1, True),
    ],
)
def test_the_end_of_the_terminal(before: str, after: str, workers: int, drains: bool, home: Path) -> None:
    """A drain, as after SIGTERM; but not of a reflector that was told to ignore this end."""
    arguments = ["--port", "0", "--log-format", "json", "--workers", str(workers)]
    line = f"{before} {shlex.join(command(arguments))} >{home}/out 2>{home}/log {after}"
    shell = ["bash", "--norc", "--noprofile", "-i"]
    log, out = home / "log", home / "out"
    with terminal(shell, environment(home)) as window:
        window.type(f"echo $$ >{home}/pid; {line.strip()}\n")
        wait_until(lambda: out.exists() and "listening" in out.read_text(), "the line on stdout")
        pid = window.process.pid
        reflector = pid if before == "exec" else int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        window.hang_up()
        if drains:
            wait_until(lambda: gone(reflector), "the end", seconds=2 * PATIENCE)
            assert log.read_text().count('"draining"') == workers
        else:
            wait_until(lambda: '"nothing to reload"' in log.read_text(), "the signal")
            os.kill(reflector, signal.SIGTERM)
            wait_until(lambda: gone(reflector), "the end")
    for file in home.iterdir():
        file.unlink()

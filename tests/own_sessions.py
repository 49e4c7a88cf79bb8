"""A session of mlogin's that other programs of the same user join by its name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medusa.client.timeouts import Timeouts
from tests.terminals import ROOT, environment, mlogin
from tests.waiting import MS, PATIENCE, wait_until


def environ(home: Path) -> dict[str, str]:
    return {**environment(home), "HOME": str(home), "XDG_RUNTIME_DIR": ""}


@contextmanager
def train(home: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A session with the name `train`, which ends with the input of its mlogin, to which these options are given."""
    command = mlogin("-q", "--name", "train", "-c", "cat", *options, timeouts=Timeouts(job_end_grace=10 * MS))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environ(home), cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        try:
            wait_until(lambda: list(home.glob(f"medusa-{os.geteuid()}/*.json")), "the session")
            yield process
            process.stdin.close()
            process.wait(PATIENCE)
        finally:
            process.kill()

"""A user of a Slurm, who runs `mlogin --launcher slurm`."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.timeouts import SlurmTimeouts, Timeouts
from tests.slurms import Slurm
from tests.terminals import (
    Terminal,
    assert_nothing_left,
    environment,
    mlogin,
    run_alone,
    terminal,
)
from tests.waiting import PATIENCE, wait_until

NEEDS_SLURM = pytest.mark.skipif(
    not shutil.which("slurmctld", path="/usr/sbin:/usr/bin"), reason="needs slurmctld, slurmd, munged"
)
PROMPT = r"[#$]\x1b\[0m "
EAGER = Timeouts(poll_interval=0.1, walltime_interval=0.5, job_end_grace=8, slurm=SlurmTimeouts(end_grace=8))


class Place:
    """A user with a home directory, who runs mlogin."""

    def __init__(self, cluster: Slurm, tmp_path: Path) -> None:
        self.cluster = cluster
        self.home, self.state = tmp_path / "tmp", tmp_path / "state"
        self.home.mkdir()
        self.variables: dict[str, str] = {}

    def environ(self) -> dict[str, str]:
        own = {**environment(self.home), **self.cluster.environ, "XDG_STATE_HOME": str(self.state)}
        return {**own, **self.variables}

    def command(self, *arguments: str, timeouts: Timeouts = EAGER) -> list[str]:
        return mlogin("--launcher", "slurm", *arguments, timeouts=timeouts)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_alone(self.command(*arguments), self.environ())

    @contextlib.contextmanager
    def terminal(self, *arguments: str, timeouts: Timeouts = EAGER) -> Iterator[Terminal]:
        with terminal(self.command(*arguments, timeouts=timeouts), self.environ(), columns=150) as opened:
            yield opened

    def assert_nothing_left(self, but: str = "") -> None:
        wait_until(lambda: not self.cluster.jobs().keys() - {but}, "the end of all jobs", 3 * PATIENCE)
        assert_nothing_left(self.home)
        wait_until(lambda: not list(self.state.glob("medusa/*")), "the private directory to go")


def job(opened: Terminal) -> str:
    return opened.until(r"Slurm job (\d+):").group(1).decode()

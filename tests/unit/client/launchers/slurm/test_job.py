from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.slurm.batch import BatchJob
from medusa.client.ledger import Ledger
from medusa.client.timeouts import DEFAULT_TIMEOUTS
from tests.waiting import Clock


class RunningJob(BatchJob):
    """A job that never ends by itself. Slurm's commands are played."""

    def __init__(self, clock: Clock, directory: Path) -> None:
        archive = directory / "agent.sh"
        archive.write_text("the archive\n")
        super().__init__(Ledger(), archive, ())
        self._clock = clock
        self.job_id, self.joined = "7", True
        self.asked: list[str] = []

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.asked.append(command[0])
        return subprocess.CompletedProcess(command, 0, "RUNNING|N/A|UNLIMITED|node1|None\n", "")


@pytest.mark.parametrize("grace", [0.5, 5.0])
def test_a_job_is_cancelled_if_it_does_not_end_in_the_time_that_the_session_leaves_it(
    tmp_path: Path, grace: float
) -> None:
    clock = Clock()
    job = RunningJob(clock, tmp_path)
    begun, job.grace = clock.now, grace
    assert job.close(clean=False) == []
    assert grace <= clock.now - begun <= grace + DEFAULT_TIMEOUTS.slurm.end_interval
    assert job.asked[-1] == "scancel"


@pytest.mark.parametrize("embedded", [None, 4711])
def test_mlogins_own_reflector_is_dialled_without_the_users_proxy(tmp_path: Path, embedded: int | None) -> None:
    job = RunningJob(Clock(), tmp_path)
    request = JobRequest(session_url=lambda lifetime: "http://127.0.0.1:4711/", embedded=embedded)
    _, script = job._prepare(request, spooled=True)
    with contextlib.closing(job._files):
        assert ("no_proxy" in script.read_text()) == (embedded is not None)

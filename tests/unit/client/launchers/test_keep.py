"""What `keep` of each launcher leaves to the guard if mlogin dies: nothing that ends the job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.client.cleanup.undo import left_open
from medusa.client.launchers.base import Settings
from medusa.client.launchers.existing import ExistingLauncher
from medusa.client.launchers.kubernetes.ephemeral import EphemeralJob
from medusa.client.launchers.manual import ManualLauncher
from medusa.client.launchers.slurm.batch import BatchJob
from medusa.client.launchers.slurm.step import StepJob
from medusa.client.launchers.ssh.connection import Connection
from medusa.client.launchers.ssh.launcher import SshLauncher
from medusa.client.ledger import Ledger
from tests.unit.client.launchers.kubernetes.test_job import Stage as KubernetesStage
from tests.unit.client.launchers.manta.stages import RENEWAL
from tests.unit.client.launchers.manta.stages import Stage as MantaStage
from tests.unit.client.launchers.test_polled import ForeignLauncher
from tests.unit.client.peers import Told

Keep = Callable[[], bool]
SRUN: Any = SimpleNamespace(pid=4711)


def batch(ledger: Ledger, tmp_path: Path) -> Keep:
    job = BatchJob(ledger, tmp_path, ())
    job.job_id = "7"
    ledger.add("command", job._undo())
    return job.keep


def step(ledger: Ledger, tmp_path: Path) -> Keep:
    job = StepJob(ledger, tmp_path, (), "7")
    job._process = SRUN
    ledger.add("group", "4711")
    return job.keep


def ssh(ledger: Ledger, tmp_path: Path) -> Keep:
    launcher = SshLauncher(Settings(archive=str(tmp_path / "agent.sh"), object="node"), ledger)
    launcher._connection = connection = Connection("node", [], tmp_path, ledger)
    launcher._process = SRUN
    ledger.add("command", connection._undo)
    return launcher.keep


@pytest.mark.parametrize(
    ("launcher", "before", "kept"),
    [(batch, ["command"], []), (step, ["group"], ["await"]), (ssh, ["command"], ["await", "after"])],
)
def test_the_guard_no_longer_ends_a_job_that_is_kept(
    launcher: Callable[[Ledger, Path], Keep], before: list[str], kept: list[str], tmp_path: Path
) -> None:
    """Instead, it waits for the end of the local process that carries the job, and cleans up after that."""
    (tmp_path / "agent.sh").touch()
    told = Told()
    ledger = Ledger(told)
    keep = launcher(ledger, tmp_path)
    at_first = left_open(told.lines)
    assert [kind for kind, _ in at_first] == before
    assert ledger.keep(keep)
    assert [kind for kind, _ in left_open(told.lines)] == kept
    ledger.end_kept()
    assert left_open(told.lines) == at_first


def test_the_guard_does_not_delete_a_kubernetes_job_that_is_kept() -> None:
    stage = KubernetesStage()
    stage.start()
    assert stage.job.keep()
    assert left_open(stage.guard.lines) == []
    assert stage.job.close(clean=False) == []
    assert stage.api.asked[-2:] == ["delete job", "delete secret"]


def test_the_guard_does_not_cancel_a_manta_job_that_is_kept_not_even_after_a_renewal() -> None:
    stage = MantaStage().started()
    assert stage.job.keep()
    assert stage.guarded() == []
    stage.clock.now += RENEWAL
    stage.look(waiting=False)
    assert stage.guarded() == []
    stage.job.close(clean=False)
    assert "cancel_job" in stage.api.methods()


def test_jobs_that_mlogin_has_not_started_go_on_and_those_of_another_package_do_not() -> None:
    existing, manual = ExistingLauncher.__new__(ExistingLauncher), ManualLauncher.__new__(ManualLauncher)
    container = EphemeralJob.__new__(EphemeralJob)
    foreign = ForeignLauncher(Settings(), Ledger())
    assert [each.keep() for each in (existing, manual, container, foreign)] == [True, True, True, False]

"""The launcher `slurm`: runs the agent in a new Slurm job, or in a step of a job that already runs."""

from __future__ import annotations

import re
import shutil

from medusa.client.archive import find_archive
from medusa.client.launchers.base import Settings
from medusa.client.launchers.polled import PolledLauncher
from medusa.client.launchers.slurm import options
from medusa.client.launchers.slurm.batch import BatchJob
from medusa.client.launchers.slurm.step import StepJob
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

_JOB = re.compile(r"[0-9]+(_[0-9]+)?")
"""Matches the number of a job, or of an array with the number of one of its tasks: `123`, `123_4`."""


class SlurmLauncher(PolledLauncher):
    """Runs the agent in a new Slurm job, which sbatch submits. With --job JOB, runs it in a step of that running job.

    Arguments after -- are passed to sbatch or srun as options.
    """

    name = "slurm"
    target = "job"
    options_of = "sbatch (of srun, in a running job)"
    system = "Slurm"
    job: BatchJob | StepJob

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        super().__init__(settings.tell, settings.timeouts)
        settings.refuse_others(self.name, "archive", "arguments", "job")
        needed = "sbatch" if settings.job is None else "srun"
        if shutil.which(needed) is None:
            raise Failure(
                f"no {needed} on PATH: the launcher `slurm` works where jobs can be submitted, as on a login node"
            )
        options.check(needed, settings.arguments)
        archive = find_archive(settings.archive).resolve()
        if settings.job is None:
            self.job = BatchJob(ledger, archive, settings.arguments, settings.timeouts)
        elif _JOB.fullmatch(settings.job):
            self.job = StepJob(ledger, archive, settings.arguments, settings.job, settings.timeouts)
        else:
            raise Failure(
                f"--job {printable(settings.job)}: not a number, nor NUMBER_TASK of an array; squeue --me shows them"
            )

    @classmethod
    def help(cls) -> str:
        return options.help_text()

    def describe(self) -> str:
        return f"Slurm job {self.job.job_id}" if self.job.job_id else "Slurm job"

    def instructions(self) -> list[str]:
        lines = list(self.job.notices)
        del self.job.notices[: len(lines)]
        return lines

    def lost(self) -> str:
        job = self.job.job_id
        which = f"--jobs={job}" if job else "--me"
        return f"see what became of it by: squeue {which}"

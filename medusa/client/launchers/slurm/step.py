"""A step in a Slurm job that already runs: `srun --overlap` runs the agent's archive."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.slurm import commands
from medusa.client.launchers.slurm.job import NoAnswer, SlurmJob
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.record import replace

MAX_NAMES = 20
"""The maximum number of an array's tasks that a message names."""


class StepJob(SlurmJob):
    """Runs the agent in a step of a running job. The step ends when its srun process ends.

    The job itself goes on, because mlogin has not started it.
    """

    def __init__(
        self,
        ledger: Ledger,
        archive: Path,
        arguments: Sequence[str],
        job_id: str,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        super().__init__(ledger, archive, arguments, timeouts)
        self.job_id = job_id
        self._number = job_id  # by which srun finds the job; a task of an array has a number of its own
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, request: JobRequest) -> None:
        """Starts the step with srun, if the job is running. Otherwise sets `state` to say why it cannot be started."""
        self._request = request = replace(request, guest=True)
        running = self._running_tasks()
        if len(running) > 1:
            names = ", ".join(task.name for task in running[:MAX_NAMES]) + ", ..." * (len(running) > MAX_NAMES)
            self.over("is an array", [f"name one of its tasks that run, by --job: {names}"])
            return
        if running:
            self.job_id, self._number, _ = running[0]
        try:
            entry = self._query()
        except NoAnswer as error:
            self.fail(str(error))
            return
        if entry is None or entry.state != commands.RUNNING:
            words = "is not known to Slurm" if entry is None else entry.words()
            self.over(words, ["only a job that runs can be got into"])
            return
        self._update(entry)
        if self.state.alive:
            try:
                self._spawn(*self._prepare(request, spooled=False))
            except (OSError, Failure) as error:
                self.fail(f"cannot start srun: {error}")

    def look(self, *, waiting: bool) -> None:
        """Asks squeue for the state of the job, and sets `state`.

        If srun has ended, sets `state` to say that the step has ended.
        """
        super().look(waiting=waiting)
        status = None if self._process is None else self._process.poll()
        if status is not None and self.state.alive:
            self.over(f"has no such step any more: srun {processes.ended(status)}", self._files.log_tail())

    def keep(self) -> bool:
        if self._process is not None:
            self._ledger.replace("group", str(self._process.pid), "await")
        return True

    def close(self, *, clean: bool) -> list[str]:
        """Ends srun, which ends the step, and removes the step's private directory.

        `clean`: True if the agent has reported the session's end. If False, finds out if Slurm has ended the whole job.
        """
        process, self._process = self._process, None
        with contextlib.closing(self._files):
            if process is not None:
                if self.joined:
                    processes.wait_quietly(process, min(self._timeouts.slurm.end_grace, self.grace))
                processes.stop_group(process.pid, self._timeouts.kill_grace, process.poll)
                for kind in ("group", "await"):
                    self._ledger.remove(kind, str(process.pid))
            if self.joined and not clean:
                self._explain_end()
        return []

    def _explain_end(self) -> None:
        """Finds out if the whole job has ended or is halted. If so, sets `state` to say that.

        Call this after a session was cut off.
        """
        self.look(waiting=False)
        if self._slurm_state != commands.RUNNING:
            self.await_end()
            self.explain()

    def _running_tasks(self) -> list[commands.Task]:
        """Returns the tasks of the job that are running: one, or several if the job is an array.

        Returns an empty list if no task is running, or if squeue fails.
        """
        words = ("--noheader", "--format", commands.TASK_FORMAT, "--jobs", self.job_id or "")
        tasks = commands.parse_tasks(self._ask("squeue", *words))
        return [task for task in tasks if task.state == commands.RUNNING]

    def _spawn(self, directory: Path, script: Path) -> None:
        step = ["srun", f"--jobid={self._number}", "--overlap", "--nodes=1", "--ntasks=1", *self._arguments, "sh", "-s"]
        with script.open("rb") as stdin, (directory / "job.log").open("ab") as log:
            self._process = subprocess.Popen(
                step,
                stdin=stdin,
                stdout=log,
                stderr=log,
                env=commands.job_environment(os.environ),
                start_new_session=True,
            )
        self._ledger.add("group", str(self._process.pid))

"""A Slurm job of our own: `sbatch` of the agent's archive."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.slurm import commands
from medusa.client.launchers.slurm.job import NoAnswer, SlurmJob
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

DEFAULTS = ("--job-name=medusa", "--output=/dev/null")
"""Options of sbatch that stand before the user's, which override them."""

# sbatch's output appears in one step, by a rename, so a cleanup after SIGKILL sees all of it or none. While FILE.new
# exists, sbatch may still be trying to reach its controller: the cleanup waits for it, for up to 4 minutes. If there
# is no FILE.new after 2 seconds, sbatch was never started.
_SUBMIT = 'sbatch "$@" >"$0.new"; status=$?; mv "$0.new" "$0"; exit $status'
_CANCEL_SUBMITTED = """i=0 id= cluster=
while [ ! -e "$1" ] && [ $i -lt 1200 ] && { [ -e "$1.new" ] || [ $i -lt 10 ]; }; do sleep 0.2; i=$((i + 1)); done
while IFS=';' read -r job of; do
  job=${job#Submitted batch job }
  case $job in '' | *[!0-9]*) ;; *) id=$job cluster=$of ;; esac
done <"$1"
[ -z "$id" ] || scancel ${cluster:+"--clusters=$cluster"} "$id\""""

# The guard has mlogin's environment: variables that select jobs for scancel are removed first.
_WITHOUT_FILTERS = "unset $(env | sed -n 's/^\\(SCANCEL_[A-Z_]*\\)=.*/\\1/p')\n"


class BatchJob(SlurmJob):
    """A job that this launcher submits, and cancels at the end."""

    def start(self, request: JobRequest) -> None:
        """Submits the job."""
        try:
            directory = self._prepare(request)
            script = self._write_script(directory, spooled=True)
        except (OSError, Failure) as error:
            self.fail(f"cannot prepare the job: {error}")
            return
        output = directory / "id"
        undo = json.dumps(["sh", "-c", _WITHOUT_FILTERS + _CANCEL_SUBMITTED, "sh", str(output)])
        self._ledger.add("command", undo)
        with script.open("rb") as stdin:
            command = ["sh", "-c", _SUBMIT, str(output), "--parsable", *DEFAULTS, *self._arguments]
            # Its own process session: a Control-C while Slurm decides must not end sbatch before it prints the id.
            done = subprocess.run(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=commands.job_environment(os.environ),
                start_new_session=True,
                check=False,
            )
        self._read_submission(output, done.stderr.decode("utf-8", "replace"))
        self._ledger.remove("command", undo)

    def close(self, *, clean: bool) -> list[str]:
        """Cancels the job unless it ends by itself, and removes its directory."""
        with self._stack:
            if self.joined:
                self._await_end()
            left = self._cancel() if self.job_id is not None and not self._ended else []
        if not left and self.job_id is not None:  # else the guard tries once more
            self._ledger.remove("command", self._undo())
        return left

    def _read_submission(self, output: Path, stderr: str) -> None:
        try:
            self.job_id, self._cluster = commands.parse_submission(output.read_text())
        except (OSError, ValueError) as error:
            no_words = f"sbatch said nothing of it: {printable(str(error))}"
            self.over("was refused", commands.error_lines(stderr) or [no_words])
            return
        self._ledger.add("command", self._undo())
        self.report("submitted")
        self.look(waiting=True)

    def _undo(self) -> str:
        """The guard's command that cancels the job."""
        assert self.job_id is not None
        return json.dumps(["sh", "-c", _WITHOUT_FILTERS + 'exec scancel "$@"', "sh", *self._cluster, self.job_id])

    def _await_end(self) -> None:
        """Looks until the job has ended: only then is known whether it ended by itself or was cancelled."""
        times = self._timeouts.slurm
        deadline = self._clock.monotonic() + times.end_grace
        while self.job_id is not None and self.state.alive and self._clock.monotonic() < deadline:
            self.look(waiting=False)
            if self.state.alive:
                self._clock.sleep(times.end_interval)

    def _cancel(self) -> list[str]:
        """Returns what the user can do if the job cannot be cancelled."""
        assert self.job_id is not None
        command = ["scancel", *self._cluster, self.job_id]
        try:
            done = self._run(command)
        except NoAnswer as error:
            why = str(error)
        else:
            if done.returncode == 0 or commands.is_unknown_job(done.stderr) or commands.has_ended(done.stderr):
                return []
            why = "; ".join(commands.error_lines(done.stderr))
        return [f"job {self.job_id} is not cancelled ({why}); cancel it by: {' '.join(command)}"]

"""A Slurm job that mlogin submits: `sbatch` with the agent's archive as the script."""

from __future__ import annotations

import contextlib
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
"""Default options of sbatch. The user's options follow and override them."""

# _SUBMIT writes the output of sbatch to FILE.new, and renames that to FILE when sbatch has ended. If mlogin is killed,
# the guard process runs _CANCEL_SUBMITTED, which reads the job's id from FILE and so never sees a part of the output.
# While only FILE.new exists, sbatch may still be trying to reach the controller: the cleanup waits up to 4 minutes.
# If there is no FILE.new after 2 seconds, sbatch was never started.
_SUBMIT = 'sbatch "$@" >"$0.new"; status=$?; mv "$0.new" "$0"; exit $status'
_CANCEL_SUBMITTED = """i=0 id= cluster=
while [ ! -e "$1" ] && [ $i -lt 1200 ] && { [ -e "$1.new" ] || [ $i -lt 10 ]; }; do sleep 0.2; i=$((i + 1)); done
while IFS=';' read -r job of; do
  job=${job#Submitted batch job }
  case $job in '' | *[!0-9]*) ;; *) id=$job cluster=$of ;; esac
done <"$1"
[ -z "$id" ] || scancel ${cluster:+"--clusters=$cluster"} "$id\""""

# The guard runs scancel in mlogin's environment. So this removes the variables that select jobs for scancel, or another
# cluster than that of sbatch.
_WITHOUT_FILTERS = "unset SLURM_WORKING_CLUSTER $(env | sed -n 's/^\\(SCANCEL_[A-Z_]*\\)=.*/\\1/p')\n"


class BatchJob(SlurmJob):
    """Submits a Slurm job, and cancels it at the end."""

    def start(self, request: JobRequest) -> None:
        """Submits the job with sbatch, and waits until sbatch has ended."""
        try:
            directory, script = self._prepare(request, spooled=True)
        except (OSError, Failure) as error:
            self.fail(f"cannot prepare the job: {error}")
            return
        output = directory / "id"
        undo = json.dumps(["sh", "-c", _WITHOUT_FILTERS + _CANCEL_SUBMITTED, "sh", str(output)])
        self._ledger.add("command", undo)
        with script.open("rb") as stdin:
            command = ["sh", "-c", _SUBMIT, str(output), "--parsable", *DEFAULTS, *self._arguments]
            # In its own process session, so that a Control-C does not end sbatch before it has printed the job's id.
            done = subprocess.run(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=commands.job_environment(os.environ),
                start_new_session=True,
                check=False,
            )
        self._read_submission(output, done.stderr.decode("utf-8", "replace"), submitted=done.returncode == 0)
        self._ledger.remove("command", undo)

    def keep(self) -> bool:
        self._ledger.remove("command", self._undo())
        return True

    def close(self, *, clean: bool) -> list[str]:
        """Cancels the job if it does not end by itself, and removes its private directory.

        `clean`: True if the agent has reported the session's end. If False, asks Slurm how the job has ended.

        Returns:
            Lines for the user if the job cannot be cancelled; otherwise none.
        """
        with contextlib.closing(self._files):
            if self.joined:
                self.await_end()
                if not clean:
                    self.explain()
            left = self._cancel() if self.job_id is not None and not self._ended else []
        if not left and self.job_id is not None:  # otherwise the guard process tries to cancel the job once more
            self._ledger.remove("command", self._undo())
        return left

    def _read_submission(self, output: Path, stderr: str, *, submitted: bool) -> None:
        """Reads the job's id from the output of sbatch, and sets `state`.

        Args:
            output: the file with the output of sbatch.
            stderr: what sbatch wrote to stderr.
            submitted: True if sbatch has exited with status 0.
        """
        try:
            self.job_id, self._cluster = commands.parse_submission(output.read_text("utf-8", "replace"))
        except (OSError, ValueError) as error:
            if submitted:
                advice = "there may be a job that mlogin cannot cancel: squeue --me shows it, scancel ends it"
                self.over("was submitted, but sbatch did not say its number", [advice, *commands.error_lines(stderr)])
                return
            no_words = f"sbatch said nothing of it: {printable(str(error))}"
            self.over("was refused", commands.error_lines(stderr) or [no_words])
            return
        self._ledger.add("command", self._undo())
        self.report("submitted")
        self.look(waiting=True)

    def _undo(self) -> str:
        """Returns the command that cancels the job, as a JSON list of words.

        The guard process runs the command if mlogin is killed.
        """
        assert self.job_id is not None
        return json.dumps(["sh", "-c", _WITHOUT_FILTERS + 'exec scancel "$@"', "sh", *self._cluster, self.job_id])

    def _cancel(self) -> list[str]:
        """Cancels the job. If that fails, returns lines for the user: why, and how to cancel the job by hand."""
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

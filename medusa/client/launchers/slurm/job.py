"""The base class of a Slurm job and of a step in a job.

It asks squeue for the state, and renews the agent's config while the job waits.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.polled import Clock, Job
from medusa.client.launchers.slurm import commands
from medusa.client.launchers.slurm.job_files import JobFiles
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

_SACCT = ("--noheader", "--parsable2", "--allocations", "--duplicates", "--format=State")
"""The options of sacct for the state of each run of a job."""


class NoAnswer(Exception):
    """Raised if Slurm does not answer. The text is the last line that Slurm's command wrote to stderr."""

    def __init__(self, stderr: str) -> None:
        super().__init__("; ".join(commands.error_lines(stderr)[-1:]) or "Slurm does not answer")


class SlurmJob(Job):
    """A job in Slurm, or a step of one. The subclasses are BatchJob (submits a job) and StepJob (joins a running job).

    Attributes:
        job_id: the id of the Slurm job; None until it is known.
        notices: lines for the user that were not shown yet.

    Args:
        ledger: tells the guard process what to undo if this process is killed.
        archive: the agent's archive.
        arguments: the user's options for sbatch or srun.
        clock: the module `time`, or the clock of a test.
    """

    def __init__(
        self,
        ledger: Ledger,
        archive: Path,
        arguments: Sequence[str],
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Clock = time,
    ) -> None:
        super().__init__("not submitted")
        self._ledger = ledger
        self._arguments = arguments
        self._timeouts = timeouts
        self._clock = clock
        self._files = JobFiles(ledger, archive, timeouts, clock)
        self._cluster: list[str] = []
        self._request: JobRequest | None = None
        self._slurm_state = self._host = ""
        # True if Slurm says that the job has ended. (`state` is also not alive if mlogin has given the job up.)
        self._ended = False
        self.job_id: str | None = None
        self.notices: list[str] = []

    def look(self, *, waiting: bool) -> None:
        """Asks squeue for the job's state, and sets `state`.

        `waiting`: True until the agent attaches. While it is True, also renews the agent's config before it expires.
        """
        joined = self.joined  # before squeue answers: after that, the job may have started
        try:
            entry = self._query()
        except NoAnswer as error:
            self.report_problem(str(error))
        else:
            self._update(entry, joined=joined)
        if waiting:
            try:
                self._files.renew()
            except (OSError, Failure) as error:  # such as: the disk is full, or the ssh-agent no longer signs
                self.report_problem(f"its URL is not renewed: {printable(str(error))}")

    def _query(self) -> commands.QueueEntry | None:
        """Asks squeue about the job. Returns the entry of the job, or None if Slurm does not know the job.

        Raises NoAnswer if squeue fails.
        """
        words = ["squeue", *self._cluster, "--noheader", "--states=all", "--format", commands.FORMAT]
        done = self._run([*words, "--jobs", self.job_id or ""])
        if done.returncode and not commands.is_unknown_job(done.stderr):
            raise NoAnswer(done.stderr)
        return commands.parse_queue(done.stdout)

    def _update(self, entry: commands.QueueEntry | None, *, joined: bool = False) -> None:
        """Sets `state` according to the answer of squeue.

        Args:
            entry: the answer; None if squeue does not know the job.
            joined: True if the agent had attached before squeue was asked. So the job has run before, and if it waits
                now, Slurm has requeued it.
        """
        now = self._clock.monotonic()
        self._slurm_state = "" if entry is None else entry.state
        self._host = (entry.host if entry else "") or self._host
        # If squeue does not show the job, the job may still exist. Then `_ended` is False, so that close() cancels it.
        self._ended = entry is not None and not entry.alive
        if entry is None:
            self.over("is not known to Slurm any more", self._files.log_tail())
        elif not entry.alive:
            self.over(entry.words(), self._files.log_tail())
        elif joined and entry.state in commands.REQUEUED:
            self.over(self._why_requeued())
        elif entry.state != commands.RUNNING:
            hint = commands.HINTS.get(entry.reason, "")
            words = "; ".join(filter(None, (entry.words(), hint.format(self.job_id))))
            self.report(words, halted=entry.state in commands.HALTED)
        elif not self.joined and self._cannot_reach_reflector(entry.host):
            this = socket.gethostname()
            remarks = [
                f"which cannot reach mlogin's own reflector: that listens on this machine ({this}) alone.",
                f"Run a reflector that {entry.host} can reach, and name it by --reflector URL",
            ]
            self.over(f"was started on {entry.host}", remarks)
        else:
            self.report(entry.words(), None if entry.left is None else now + entry.left)

    def await_end(self) -> None:
        """Calls `look` again and again until the job has ended, or Slurm has halted it.

        Gives up after `end_grace` or `grace` seconds, whichever is less. Call this before you cancel the job: if the
        job ends by itself, Slurm records how it ended.
        """
        times = self._timeouts.slurm
        deadline = self._clock.monotonic() + min(times.end_grace, self.grace)
        while self.job_id is not None and self.state.alive and self._clock.monotonic() < deadline:
            self.look(waiting=False)
            if self._slurm_state in commands.HALTED:
                return
            if self.state.alive:
                self._clock.sleep(times.end_interval)

    def _prepare(self, request: JobRequest, *, spooled: bool) -> tuple[Path, Path]:
        """Writes the files for the job. Returns what JobFiles.prepare returns."""
        self._request = request
        prepared = self._files.prepare(request, spooled=spooled)
        self.notices += filter(None, [self._files.notice])
        return prepared

    def _cannot_reach_reflector(self, host: str) -> bool:
        """True if the job on the node `host` cannot reach mlogin's own reflector, which listens on loopback only.

        That is so if mlogin uses its own reflector, and `host` is another machine.
        """
        embedded = self._request is not None and self._request.embedded is not None
        return embedded and host != "" and not self._is_this_machine(host)

    def _is_this_machine(self, host: str) -> bool:
        """True if the node `host` is this machine. Also True if that is unknown because Slurm does not answer.

        If True is wrong, the agent fails to attach, and the user learns of the problem in that way.
        """
        own = socket.gethostname().partition(".")[0]
        if host.partition(".")[0] == own:
            return True
        shown = self._ask("scontrol", "--oneliner", "show", "node", host)
        return not shown or any(word.partition(".")[0] == f"NodeHostName={own}" for word in shown.split())

    def _why_requeued(self) -> str:
        return commands.requeue_words(
            self._ask("sacct", *_SACCT, "--jobs", self.job_id or ""),
            self._ask("scontrol", "--oneliner", "show", "node", self._host) if self._host else "",
            self._ask("scontrol", "show", "config"),
        )

    def explain(self) -> None:
        """Asks Slurm how the job was ended, and puts the answer into `state`.

        Does nothing if `state` already says how the job was ended. Call this after a session was cut off.
        """
        if self._slurm_state in commands.HALTED:
            self.over(commands.HALTED[self._slurm_state])
        elif self._slurm_state in ("COMPLETED", "FAILED"):
            record = self._ask("scontrol", "--oneliner", "show", "job", self.job_id or "")
            self.over(commands.end_words(record) or self.state.words)

    def _ask(self, program: str, *words: str) -> str:
        """Runs `program`, one of Slurm's commands, for the job's cluster. Returns its output, or "" if it fails."""
        try:
            done = self._run([program, *self._cluster, *words])
        except NoAnswer:
            return ""
        return "" if done.returncode else done.stdout

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs one of Slurm's commands. Returns its exit status and output.

        Raises:
            NoAnswer: the command takes too long, or cannot be started.
        """
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=commands.query_environment(os.environ),
                timeout=self._timeouts.slurm.command_timeout,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise NoAnswer("") from None
        except OSError as error:
            raise NoAnswer(f"{command[0]}: {error.strerror}") from None

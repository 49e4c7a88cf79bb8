"""What a job and a step in a job have in common: squeue's answers, the script, and the config that is kept fresh."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.polled import Clock, Job
from medusa.client.launchers.script import with_settings
from medusa.client.launchers.slurm import commands
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

MAX_SPOOLED_SCRIPT = 1 << 20
"""Bytes of a script for sbatch. Slurm's default limit is four times that, but its controller keeps every script."""

# Runs in the job before the agent: uses the fresh config and the log's place if the node can see the directory.
_PROLOGUE = (
    'if [ -r "$MEDUSA_PLACE/config.json" ]; then',
    "  MEDUSA_CONFIG=$MEDUSA_PLACE/config.json; export MEDUSA_CONFIG; unset MEDUSA_SIGNED_URL MEDUSA_INSECURE_TLS",
    "fi",
    'if [ -w "$MEDUSA_PLACE" ]; then exec 2>>"$MEDUSA_PLACE/job.log"; fi',
)


class NoAnswer(Exception):
    """Slurm does not answer. The text is the last line of what its command wrote to stderr."""

    def __init__(self, stderr: str) -> None:
        super().__init__("; ".join(commands.error_lines(stderr)[-1:]) or "Slurm does not answer")


class SlurmJob(Job):
    """Base of the two kinds of job.

    Attributes:
        job_id: None until it is known.

    Args:
        clock: the module `time`, or a test's own.
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
        self._archive = archive
        self._arguments = arguments
        self._timeouts = timeouts
        self._clock = clock
        self._stack = contextlib.ExitStack()
        self._cluster: list[str] = []
        self._directory: Path | None = None
        self._request: JobRequest | None = None
        self._renew_at = 0.0
        self._ended = False  # Slurm said so; `state` may also be over because mlogin gave the job up
        self.job_id: str | None = None

    def look(self, *, waiting: bool) -> None:
        """Asks squeue for the state; while `waiting` for the agent, also renews its config."""
        try:
            entry = self._query()
        except NoAnswer as error:
            self.report_problem(str(error))
        else:
            self._update(entry)
        if waiting and self._clock.monotonic() >= self._renew_at:
            try:
                self._write_config()
            except (OSError, Failure) as error:  # the disk is full; the ssh-agent does not sign any more
                self.report_problem(f"its URL is not renewed: {printable(str(error))}")

    def _query(self) -> commands.QueueEntry | None:
        """What squeue says about the job. Raises NoAnswer."""
        words = ["squeue", *self._cluster, "--noheader", "--states=all", "--format", commands.FORMAT]
        done = self._run([*words, "--jobs", self.job_id or ""])
        if done.returncode and not commands.is_unknown_job(done.stderr):
            raise NoAnswer(done.stderr)
        return commands.parse_queue(done.stdout)

    def _update(self, entry: commands.QueueEntry | None) -> None:
        """Sets `state` by squeue's answer."""
        now = self._clock.monotonic()
        # A job that squeue does not show may still exist, so close() cancels it.
        self._ended = entry is not None and not entry.alive
        if entry is None:
            self.over("is not known to Slurm any more", self._log_tail())
        elif not entry.alive:
            self.over(entry.words(), self._log_tail())
        elif entry.state != commands.RUNNING:
            self.report(entry.words())
        elif not self.joined and self._cannot_reach_reflector(entry.host):
            this = socket.gethostname()
            remarks = [
                f"which cannot reach mlogin's own reflector: that listens on this machine ({this}) alone.",
                f"Run a reflector that {entry.host} can reach, and name it by --reflector URL",
            ]
            self.over(f"was started on {entry.host}", remarks)
        else:
            self.report(entry.words(), None if entry.left is None else now + entry.left)

    def _cannot_reach_reflector(self, host: str) -> bool:
        """Whether the job runs on another machine although mlogin's own reflector listens on loopback."""
        embedded = self._request is not None and self._request.embedded is not None
        return embedded and host != "" and not self._is_this_machine(host)

    def _is_this_machine(self, host: str) -> bool:
        """Whether a node is this machine. If Slurm does not say, True: the agent will fail to attach if it is not."""
        own = socket.gethostname().partition(".")[0]
        if host.partition(".")[0] == own:
            return True
        try:
            shown = self._run(["scontrol", *self._cluster, "--oneliner", "show", "node", host]).stdout
        except NoAnswer:
            return True
        return any(word.partition(".")[0] == f"NodeHostName={own}" for word in shown.split())

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs one of Slurm's commands for its output. Raises NoAnswer: it takes too long, or does not exist."""
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

    def _prepare(self, request: JobRequest) -> Path:
        """Makes the private directory that the job will read, with the agent's config in it."""
        self._request = request
        self._directory = self._stack.enter_context(self._ledger.private_directory(_shared_directory()))
        self._write_config()
        return self._directory

    def _write_config(self) -> None:
        """Replaces the config in one step: the job may be reading it."""
        assert self._request is not None
        assert self._directory is not None
        # Set first, so that a failure is not repeated at once: to sign, the ssh-agent may ask the user.
        self._renew_at = self._clock.monotonic() + self._timeouts.renewal_interval
        new = self._directory / "config.new"
        new.touch(0o600)
        new.write_text(json.dumps(self._request.config(self._timeouts.url_lifetime)))
        new.replace(self._directory / "config.json")

    def _write_script(self, directory: Path, *, spooled: bool) -> Path:
        """Writes the shell script that becomes the agent.

        Args:
            spooled: Slurm keeps the script, so it must be text and not too large. If the archive is not, the script
                runs a copy of it in the shared directory.
        """
        assert self._request is not None
        settings = {**self._request.variables(self._timeouts.url_lifetime), "MEDUSA_PLACE": str(directory)}
        archive, lines = self._archive, list(_PROLOGUE)
        data = archive.read_bytes()
        if spooled and (len(data) > MAX_SPOOLED_SCRIPT or b"\0" in data):
            (directory / "agent.sh").write_bytes(data)
            archive = Path(os.devnull)
            lines.append('exec sh "$MEDUSA_PLACE/agent.sh"')
        script = directory / "script"
        script.touch(0o600)
        script.write_bytes(with_settings(archive, settings, lines))
        return script

    def _log_tail(self) -> list[str]:
        return [] if self._directory is None else processes.tail(self._directory / "job.log")


def _shared_directory() -> Path:
    """A directory below the user's home, which nodes usually share. Raises OSError."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if not os.path.isabs(state):
        raise OSError(f"no home directory: {printable(state)}; set XDG_STATE_HOME to a directory that the nodes share")
    path = Path(state) / "medusa"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path

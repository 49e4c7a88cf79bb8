"""A job of a Slurm, step by step, by Slurm's own commands. Each step may block."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.launchers.base import URL_LIFETIME, JobRequest, JobState
from medusa.client.launchers.polled import Job
from medusa.client.launchers.script import with_settings
from medusa.client.launchers.slurm import commands
from medusa.client.ledger import GRACE, Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

RENEWAL = URL_LIFETIME / 2
"""Seconds between two configs of a waiting job: whenever its turn comes, the agent has as long to start."""

COMMAND_TIMEOUT = 30.0
"""Seconds that a command may take: a controller that is away is asked again and again by it."""

SETTLE = 5.0
"""Seconds that a job gets to end by itself behind its session."""

LOOK = 0.2
"""Seconds between two looks at it then."""

LARGEST_SCRIPT = 1 << 20
"""Bytes. Slurm takes four times as many by default, and keeps them in the controller."""

DEFAULTS = ("--job-name=medusa", "--output=/dev/null")
"""Options of sbatch that go before the user's, which win."""

# sbatch's answer appears whole or not at all: whoever cleans up behind a mlogin that was killed waits for it, for as
# long as sbatch tries to reach its controller. Without `.new` sbatch has not been started.
_SUBMIT = 'sbatch "$@" >"$0.new"; status=$?; mv "$0.new" "$0"; exit $status'
_CANCEL = """i=0 id= cluster=
while [ ! -e "$1" ] && [ $i -lt 1200 ] && { [ -e "$1.new" ] || [ $i -lt 10 ]; }; do sleep 0.2; i=$((i + 1)); done
while IFS=';' read -r job of; do
  job=${job#Submitted batch job }
  case $job in '' | *[!0-9]*) ;; *) id=$job cluster=$of ;; esac
done <"$1"
[ -z "$id" ] || scancel ${cluster:+"--clusters=$cluster"} "$id\""""

# For the guard's commands, whose environment is mlogin's: no variable chooses for scancel.
_PLAINLY = "unset $(env | sed -n 's/^\\(SCANCEL_[A-Z_]*\\)=.*/\\1/p')\n"

# Before the agent, in the job: the config that is kept fresh, and a place for the log, where its node can see them.
_IN_FRONT = (
    'if [ -r "$MEDUSA_PLACE/config.json" ]; then',
    "  MEDUSA_CONFIG=$MEDUSA_PLACE/config.json; export MEDUSA_CONFIG; unset MEDUSA_SIGNED_URL MEDUSA_INSECURE_TLS",
    "fi",
    'if [ -w "$MEDUSA_PLACE" ]; then exec 2>>"$MEDUSA_PLACE/job.log"; fi',
)


class SlurmJob(Job):
    """What a batch job and a step in a running job have in common.

    Attributes:
        job_id: None until it is known.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(
        self, ledger: Ledger, archive: Path, arguments: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__("not submitted")
        self._ledger = ledger
        self._archive = archive
        self._arguments = arguments
        self._clock = clock
        self._stack = contextlib.ExitStack()
        self._cluster: list[str] = []
        self._directory: Path | None = None
        self._request: JobRequest | None = None
        self._renew_at = 0.0
        self._over = False  # by what Slurm says; `state` may have given it up for other reasons
        self.job_id: str | None = None

    def look(self, *, waiting: bool) -> None:
        """Asks how it fares; while `waiting` for its agent, also keeps its config fresh."""
        try:
            found = self._ask()
        except _Silent as error:
            self._remark(str(error))
        else:
            self._heed(found)
        if waiting and self._clock() >= self._renew_at:
            try:
                self._write_config()
            except (OSError, Failure) as error:  # no room; the ssh-agent does not sign any more
                self._remark(f"its URL is not renewed: {printable(str(error))}")

    def _remark(self, text: str) -> None:
        self.state = JobState(self.state.alive, f"{self.state.words.partition('; ')[0]}; {text}", self.state.ends_at)

    def _ask(self) -> commands.Answer | None:
        """Raises _Silent."""
        words = ["squeue", *self._cluster, "--noheader", "--states=all", "--format", commands.FORMAT]
        done = _run([*words, "--jobs", self.job_id or ""])
        if done.returncode and "Invalid job id" not in done.stderr:
            raise _Silent(done.stderr)
        return commands.answer(done.stdout)

    def _heed(self, found: commands.Answer | None) -> None:
        now = self._clock()
        # A job that is not shown is cancelled all the same: it may only not be shown.
        self._over = found is not None and not found.alive
        if found is None:
            self.over("is not known to Slurm any more", self._logged())
        elif not found.alive:
            self.over(found.words(), self._logged())
        elif found.state != commands.RUNNING:
            self.state = JobState(alive=True, words=found.words())
        elif not self.joined and self._is_out_of_reach(found.host):
            this = socket.gethostname()
            remarks = [
                f"which cannot reach mlogin's own reflector: that listens on this machine ({this}) alone.",
                f"Run a reflector that {found.host} can reach, and name it by --reflector URL",
            ]
            self.over(f"was started on {found.host}", remarks)
        else:
            ends_at = None if found.left is None else now + found.left
            self.state = JobState(alive=True, words=found.words(), ends_at=ends_at)

    def _is_out_of_reach(self, host: str) -> bool:
        """A reflector on this machine's loopback is of use to jobs on this machine alone."""
        embedded = self._request is not None and self._request.embedded is not None
        return embedded and host != "" and not self._is_here(host)

    def _is_here(self, host: str) -> bool:
        here = socket.gethostname().partition(".")[0]
        if host.partition(".")[0] == here:
            return True
        try:
            shown = _run(["scontrol", *self._cluster, "--oneliner", "show", "node", host]).stdout
        except _Silent:
            return True  # its agent will tell
        return any(word.partition(".")[0] == f"NodeHostName={here}" for word in shown.split())

    def _prepare(self, request: JobRequest) -> Path:
        """The private directory that the job is to find, with the agent's config in it."""
        self._request = request
        self._directory = self._stack.enter_context(self._ledger.private_directory(_shared()))
        self._write_config()
        return self._directory

    def _write_config(self) -> None:
        """Whole or not at all: the job may be reading it."""
        assert self._request is not None
        assert self._directory is not None
        self._renew_at = self._clock() + RENEWAL  # also of one that fails: a signature may be a question to the user
        new = self._directory / "config.new"
        new.touch(0o600)
        new.write_text(json.dumps(self._request.config(URL_LIFETIME)))
        new.replace(self._config)

    def _script(self, directory: Path, *, spooled: bool) -> Path:
        """A file, a shell script that becomes the agent. It prefers the config that is kept fresh.

        Args:
            spooled: Slurm keeps it, and wants it small, and text.
        """
        assert self._request is not None
        settings = {**self._request.variables(), "MEDUSA_PLACE": str(directory)}
        archive, lines = self._archive, list(_IN_FRONT)
        data = archive.read_bytes()
        if spooled and (len(data) > LARGEST_SCRIPT or b"\0" in data):
            (directory / "agent.sh").write_bytes(data)
            archive = Path(os.devnull)
            lines.append('exec sh "$MEDUSA_PLACE/agent.sh"')
        script = directory / "script"
        script.touch(0o600)
        script.write_bytes(with_settings(archive, settings, lines))
        return script

    @property
    def _config(self) -> Path:
        assert self._directory is not None
        return self._directory / "config.json"

    @property
    def _log(self) -> Path:
        assert self._directory is not None
        return self._directory / "job.log"

    def _logged(self) -> list[str]:
        return [] if self._directory is None else processes.tail(self._log)


class BatchJob(SlurmJob):
    """A job of our own: `sbatch` of the archive."""

    def start(self, request: JobRequest) -> None:
        """Submits it; what goes wrong is in `state`."""
        try:
            directory = self._prepare(request)
            script = self._script(directory, spooled=True)
        except (OSError, Failure) as error:
            self.fail(f"cannot prepare the job: {error}")
            return
        answer = directory / "id"
        undo = json.dumps(["sh", "-c", _PLAINLY + _CANCEL, "sh", str(answer)])
        self._ledger.add("command", undo)
        with script.open("rb") as stdin:
            command = ["sh", "-c", _SUBMIT, str(answer), "--parsable", *DEFAULTS, *self._arguments]
            # A session of its own: a Control-C while Slurm makes up its mind must not hide the answer.
            done = subprocess.run(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=commands.environment(os.environ),
                start_new_session=True,
                check=False,
            )
        self._submitted(answer, done.stderr.decode("utf-8", "replace"))
        self._ledger.remove("command", undo)

    def close(self, *, clean: bool) -> list[str]:
        """See medusa.client.launchers.polled.Job."""
        with self._stack:
            if self.joined:
                self._settle()
            left = self._cancel() if self.job_id is not None and not self._over else []
        if not left:  # else the guard tries once more
            for entry in self._undo():
                self._ledger.remove("command", entry)
        return left

    def _submitted(self, answer: Path, said: str) -> None:
        try:
            self.job_id, self._cluster = commands.submitted(answer.read_text())
        except (OSError, ValueError) as error:
            said_nothing = f"sbatch said nothing of it: {printable(str(error))}"
            self.over("was refused", commands.complaint(said) or [said_nothing])
            return
        for entry in self._undo():
            self._ledger.add("command", entry)
        self.state = JobState(alive=True, words="submitted")
        self.look(waiting=True)

    def _undo(self) -> Iterator[str]:
        if self.job_id is not None:
            yield json.dumps(["sh", "-c", _PLAINLY + 'exec scancel "$@"', "sh", *self._cluster, self.job_id])

    def _settle(self) -> None:
        """Looks until it has ended, by itself or by whoever ended it: that is known only then."""
        deadline = self._clock() + SETTLE
        while self.job_id is not None and self.state.alive and self._clock() < deadline:
            self.look(waiting=False)
            if self.state.alive:
                time.sleep(LOOK)

    def _cancel(self) -> list[str]:
        assert self.job_id is not None
        command = ["scancel", *self._cluster, self.job_id]
        try:
            done = _run(command)
        except _Silent as error:
            why = str(error)
        else:
            if done.returncode == 0 or "Invalid job id" in done.stderr or "already complet" in done.stderr:
                return []
            why = "; ".join(commands.complaint(done.stderr))
        return [f"job {self.job_id} is not cancelled ({why}); cancel it by: {' '.join(command)}"]


class StepJob(SlurmJob):
    """A step in a job that runs already: `srun --overlap`, which ends with it. That job is not ours to end."""

    def __init__(self, ledger: Ledger, archive: Path, arguments: Sequence[str], job_id: str) -> None:
        super().__init__(ledger, archive, arguments)
        self.job_id = job_id
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, request: JobRequest) -> None:
        """Starts the step, if the job runs; what goes wrong is in `state`."""
        self._request = request
        try:
            found = self._ask()
        except _Silent as error:
            self.fail(str(error))
            return
        if found is None or found.state != commands.RUNNING:
            words = "is not known to Slurm" if found is None else found.words()
            self.over(words, ["only a job that runs can be got into"])
            return
        self._heed(found)
        if self.state.alive:
            try:
                self._spawn(self._prepare(request))
            except (OSError, Failure) as error:
                self.fail(f"cannot start srun: {error}")

    def look(self, *, waiting: bool) -> None:
        """As ever; the end of srun is the end."""
        super().look(waiting=waiting)
        status = None if self._process is None else self._process.poll()
        if status is not None and self.state.alive:
            self.over(f"has no such step any more: srun {processes.ended(status)}", self._logged())

    def close(self, *, clean: bool) -> list[str]:
        """See medusa.client.launchers.polled.Job."""
        process, self._process = self._process, None
        with self._stack:
            if process is not None:
                if self.joined:
                    processes.wait_quietly(process, SETTLE)
                processes.stop_group(process.pid, GRACE, process.poll)
                self._ledger.remove("group", str(process.pid))
        return []

    def _spawn(self, directory: Path) -> None:
        step = ["srun", f"--jobid={self.job_id}", "--overlap", "--nodes=1", "--ntasks=1", *self._arguments, "sh", "-s"]
        with self._script(directory, spooled=False).open("rb") as stdin, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                step, stdin=stdin, stdout=log, stderr=log, env=commands.environment(os.environ), start_new_session=True
            )
        self._ledger.add("group", str(self._process.pid))


class _Silent(Exception):
    """Slurm does not answer; the text says what its command said."""

    def __init__(self, said: str) -> None:
        super().__init__("; ".join(commands.complaint(said)[-1:]) or "Slurm does not answer")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Raises _Silent: it takes too long, or is not there."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=commands.asking(os.environ),
            timeout=COMMAND_TIMEOUT,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise _Silent("") from None
    except OSError as error:
        raise _Silent(f"{command[0]}: {error.strerror}") from None


def _shared() -> Path:
    """Where a directory is likely to be seen by the nodes as well: below the user's home. Raises OSError."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if not os.path.isabs(state):
        raise OSError(f"no home directory: {printable(state)}; set XDG_STATE_HOME to a directory that the nodes share")
    path = Path(state) / "medusa"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path

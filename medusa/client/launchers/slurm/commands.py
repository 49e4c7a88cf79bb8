"""Parses the output of Slurm's commands, and makes the environments to run them in. Runs no command itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from medusa.protocol.printable import printable
from medusa.protocol.record import record
from medusa.signal_pipe import signal_name

FORMAT = "%T|%S|%L|%B|%r"
"""The argument of squeue --format: prints a job's state, start time, time left, batch host and reason."""

TASK_FORMAT = "%i|%A|%T"
"""The argument of squeue --format for `parse_tasks`."""

FILTER_PREFIXES = ("SQUEUE_", "SCANCEL_")
"""The prefixes of variables that select jobs for squeue and scancel, or make scancel ask for confirmation."""

_BREAK_SESSIONS = ("SBATCH_ARRAY_INX", "SBATCH_QUIET", "SBATCH_WAIT", "SLURM_STDINMODE")
"""Variables that break a session, because each has the meaning of an option that breaks a session.

The options are --array, --quiet and --wait of sbatch, and --input of srun.
"""

_MARKS_OF_A_JOB = (
    "SLURM_JOB",
    "SLURM_STEP",
    "SLURM_NODE",
    "SLURM_NTASKS",
    "SLURM_NNODES",
    "SLURM_SUBMIT",
    "SLURM_TASK",
)
"""One variable with one of these prefixes shows that mlogin runs in a job."""

_JOB_PREFIXES = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_CPU_BIND", "SBATCH_MEM_BIND", "PMI_", "PMI2_", "PMIX_")
_JOB_NAMES = ("CUDA_VISIBLE_DEVICES", "ENVIRONMENT", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")
_CONFIGURATION = (
    "SLURM_BITSTR_LEN",
    "SLURM_CLUSTERS",
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_DEBUG_FLAGS",
    "SLURM_EXIT_ERROR",
    "SLURM_EXIT_IMMEDIATE",
    "SLURM_JWT",
    "SLURM_TIME_FORMAT",
)
"""Variables by which the user or the site configures Slurm's commands. They are passed on to new jobs.

Slurm itself does not set these variables in a job.
"""

_ENDED = {
    "BOOT_FAIL": "was given a node that did not boot",
    "CANCELLED": "was cancelled",
    "COMPLETED": "ended",
    "DEADLINE": "was ended by its deadline",
    "FAILED": "failed",
    "NODE_FAIL": "was lost with its node",
    "OUT_OF_MEMORY": "ran out of memory",
    "PREEMPTED": "was preempted",
    "REVOKED": "was taken by another cluster",
    "TIMEOUT": "was ended by its time limit",
}
"""The final states of a job (see squeue(1)) -> the same in words, for the user."""

RUNNING, PENDING = "RUNNING", "PENDING"

REQUEUED = (PENDING, "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
"""The states of a job that has run, and is to run again from its start."""

HALTED = {"SUSPENDED": "was suspended, as by preemption", "STOPPED": "was stopped by SIGSTOP"}
"""The states in which a job's processes do not run -> the same in words, for the user."""

HINTS = {
    "DependencyNeverSatisfied": "it will never start",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "it is held; it starts after: scontrol release {}",
}
"""Reasons of a job that will wait until somebody acts -> words for the user. {} stands for the job's id."""

_REQUEUES = {
    "NODE_FAIL": "was requeued, because its node failed",
    "PREEMPTED": "was preempted and requeued",
    "REQUEUED": "was requeued",
}
"""The state that Slurm's accounting has for a run of a job that was requeued -> the same in words, for the user."""

_UNKNOWN = ("", "n/a", "N/A", "None", "Unknown")
"""The texts that squeue prints in place of a missing value."""


@record
class QueueEntry:
    """Holds the entry of one job in the output of squeue.

    Attributes:
        state: the job's state, such as PENDING.
        start: the time at which the job started, or is expected to start, in seconds since 1970. None if Slurm does not
            know it.
        left: how many seconds the job may still run; None for no limit.
        host: the node that runs the job's script; empty if the job does not run yet.
        reason: why the job waits; empty if there is no reason.
    """

    state: str
    start: float | None
    left: float | None
    host: str
    reason: str

    @property
    def alive(self) -> bool:
        return self.state not in _ENDED

    def words(self, clock: Callable[[], float] = time.time) -> str:
        """Returns the entry in words for the user.

        Examples: `PENDING (Resources), starts about 14:05`, `RUNNING on node3`, `was cancelled`.

        Args:
            clock: a function that returns the current time, in seconds since 1970.
        """
        if not self.alive:
            return _ENDED[self.state]
        if self.state != PENDING:
            return self.state + (f" on {self.host}" if self.host else "")
        reason = f" ({self.reason})" if self.reason else ""
        start = "" if self.start is None else f", starts about {time_of_day(self.start, clock())}"
        return self.state + reason + start


class Task(NamedTuple):
    """A job, or one task of an array.

    Attributes:
        name: the name in the output of squeue: NUMBER is a job, NUMBER_TASK is a task of an array, NUMBER_[TASKS] is
            all tasks of an array that do not run yet.
        number: the id of the job, or of the task itself. srun finds a task by this id.
        state: the state of the job or task, such as RUNNING.
    """

    name: str
    number: str
    state: str


def job_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment for sbatch and srun, which pass it on to the job.

    It is a copy of `environ` without these variables:

    - Variables that configure mlogin.
    - Variables that change sbatch or srun in a way that breaks a session.
    - If mlogin itself runs in a Slurm job: the variables that Slurm has set there. They would change the new job, and
      tell the programs in it wrong facts.
    """
    inherited = _in_a_job(environ)
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("MEDUSA_") and name not in _BREAK_SESSIONS and not (inherited and _is_of_a_job(name))
    }


def _in_a_job(environ: Mapping[str, str]) -> bool:
    return any(name.startswith(_MARKS_OF_A_JOB) for name in environ)


def _is_of_a_job(name: str) -> bool:
    """True if Slurm may set the variable `name` in a job. False for a variable that configures Slurm's commands."""
    return (name.startswith(_JOB_PREFIXES) or name in _JOB_NAMES) and name not in _CONFIGURATION


def query_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment for a Slurm command whose output is parsed.

    With it, the output is in English, with times in seconds since 1970. Variables that select jobs are left out.
    """
    own = {name: value for name, value in job_environment(environ).items() if not name.startswith(FILTER_PREFIXES)}
    return {**own, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def parse_submission(text: str) -> tuple[str, list[str]]:
    """Parses the output of sbatch. Returns the id of the new job, and options that name its cluster.

    Other commands need these options to find the job. There are none if sbatch names no cluster. At some sites, sbatch
    is another program that prints more lines, or another format.

    Raises:
        ValueError: the output contains no job id.
    """
    for line in reversed(text.splitlines()):
        job, _, cluster = line.strip().removeprefix("Submitted batch job ").partition(";")
        if job.isascii() and job.isdecimal():
            return job, [f"--clusters={cluster}"] if cluster else []
    raise ValueError(f"no job's id: {text!r}")


def parse_queue(text: str) -> QueueEntry | None:
    """Parses the output of `squeue --noheader --format FORMAT`. Returns the first job, or None if there is none."""
    for line in text.splitlines():  # with --clusters, the first line names the cluster
        fields = [printable(field.strip()) for field in line.split("|", 4)]
        if len(fields) == 5:
            state, start, left, host, reason = fields
            known = {name: "" if value in _UNKNOWN else value for name, value in (("host", host), ("reason", reason))}
            start_time = float(start) if start.isascii() and start.isdecimal() else None
            return QueueEntry(state, start_time, parse_duration(left), **known)
    return None


def parse_tasks(text: str) -> list[Task]:
    """Parses the output of `squeue --noheader --format TASK_FORMAT`. Returns all jobs and tasks in it."""
    lines = (line.strip().split("|") for line in text.splitlines())
    return [Task(*map(printable, fields)) for fields in lines if len(fields) == 3]


def requeue_words(accounting: str, node: str = "", configuration: str = "") -> str:
    """Returns in words why a job was requeued.

    Each argument is empty if it is unknown.

    Args:
        accounting: the states of the job's runs, one in each line, the latest run last.
        node: the output of `scontrol --oneliner show node` for the node on which the job ran.
        configuration: the output of `scontrol show config`.
    """
    found = [_REQUEUES[state] for state in accounting.split() if state in _REQUEUES]
    if found:
        return found[-1]
    if re.search(r"\bState=(DOWN|FAIL|\w*\*)", node):
        return _REQUEUES["NODE_FAIL"]
    if re.search(r"^PreemptType\s*=\s*(preempt/none|\(null\))\s*$", configuration, re.MULTILINE):
        return "was requeued, by scontrol requeue or after its node failed"
    return "was requeued, by preemption, by scontrol requeue or after its node failed"


def end_words(record: str) -> str | None:
    """Returns in words how a job was ended, such as by preemption or a signal. Returns None if that is unknown.

    `record`: the output of `scontrol --oneliner show job`.
    """
    fields = dict(word.split("=", 1) for word in record.split() if "=" in word)
    if fields.get("PreemptTime", "None") not in ("None", *_UNKNOWN):
        return "was preempted"
    number = fields.get("ExitCode", "").partition(":")[2]
    if number.isascii() and number.isdecimal() and int(number):
        return f"was ended by {signal_name(int(number))}"
    return None


def parse_duration(text: str) -> float | None:
    """Parses a duration of the form `[days-][[hours:]minutes:]seconds`. Returns it in seconds.

    Returns None for any other text: squeue prints a word if there is no limit.
    """
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isascii() and part.isdecimal() for part in [days or "0", *parts]):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return 86400.0 * int(days or 0) + seconds


def time_of_day(moment: float, now: float) -> str:
    """Returns `moment` as a local time for the user. Adds the date if `moment` is not on the same day as `now`.

    Both arguments are in seconds since 1970.
    """
    then = time.localtime(moment)
    today = time.localtime(now)[:3] == then[:3]
    return time.strftime("%H:%M" if today else "%a %d %b %H:%M", then)


# Slurm's commands exit with status 1 after every error. Only the text on stderr tells the errors apart.
def is_unknown_job(stderr: str) -> bool:
    """True if a Slurm command failed because Slurm does not know the job, or no longer knows it.

    `stderr`: what the command wrote to stderr.
    """
    return "Invalid job id" in stderr


def has_ended(stderr: str) -> bool:
    """True if scancel failed because the job has already ended. `stderr`: what scancel wrote to stderr."""
    return "already complet" in stderr


def error_lines(stderr: str) -> list[str]:
    """Returns a command's stderr as printable lines, without prefixes such as `sbatch: error: `."""
    lines = (line.removeprefix(line.partition(": ")[0] + ": ").removeprefix("error: ") for line in stderr.splitlines())
    return [printable(line) for line in lines if line.strip()]

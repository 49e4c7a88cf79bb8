"""What Slurm's commands are given and what they print, as values and in words. Starts no process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from medusa.protocol.printable import printable

FORMAT = "%T|%S|%L|%B|%r"
"""Format of squeue for one job: state, start time, time left, batch host, reason."""

FILTER_PREFIXES = ("SQUEUE_", "SCANCEL_")
"""Variables with these prefixes select jobs for squeue and scancel, or make scancel ask for confirmation."""

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
"""Final states, see squeue(1) -> words."""

RUNNING, PENDING = "RUNNING", "PENDING"

_UNKNOWN = ("", "n/a", "N/A", "None", "Unknown")
"""What squeue prints for a value that it does not have."""


@dataclass(frozen=True)
class QueueEntry:
    """What squeue says about a job.

    Attributes:
        state: such as PENDING.
        start: when it started, or is expected to; seconds since 1970, None if Slurm does not know.
        left: seconds that it may still run, None for no limit.
        host: node that runs its script; empty if it does not run yet.
        reason: why it waits; empty for none.
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
        """`PENDING (Resources), starts about 14:05`, `RUNNING on node3`, `was cancelled`.

        Args:
            clock: seconds since 1970.
        """
        if not self.alive:
            return _ENDED[self.state]
        if self.state != PENDING:
            return self.state + (f" on {self.host}" if self.host else "")
        reason = f" ({self.reason})" if self.reason else ""
        start = "" if self.start is None else f", starts about {time_of_day(self.start, clock())}"
        return self.state + reason + start


def job_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for sbatch and srun, which pass it on to the job.

    Leaves out variables that configure mlogin, and SBATCH_WAIT, which makes sbatch wait for the job's end.
    """
    return {n: value for n, value in environ.items() if not n.startswith("MEDUSA_") and n != "SBATCH_WAIT"}


def query_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command whose output is parsed: English, times in seconds since 1970, no filters."""
    own = {name: value for name, value in job_environment(environ).items() if not name.startswith(FILTER_PREFIXES)}
    return {**own, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def parse_submission(text: str) -> tuple[str, list[str]]:
    """The id of a new job, and the option by which other commands find its cluster, from the output of sbatch.

    Some sites replace sbatch by a program that prints more lines, or ignores --parsable.

    Raises:
        ValueError: there is no id.
    """
    for line in reversed(text.splitlines()):
        job, _, cluster = line.strip().removeprefix("Submitted batch job ").partition(";")
        if job.isascii() and job.isdecimal():
            return job, [f"--clusters={cluster}"] if cluster else []
    raise ValueError(f"no job's id: {text!r}")


def parse_queue(text: str) -> QueueEntry | None:
    """The job in the output of `squeue --noheader --format FORMAT`; None if there is none."""
    for line in text.splitlines():  # with --clusters, the first line names the cluster
        fields = [printable(field.strip()) for field in line.split("|", 4)]
        if len(fields) == 5:
            state, start, left, host, reason = fields
            known = {name: "" if value in _UNKNOWN else value for name, value in (("host", host), ("reason", reason))}
            start_time = float(start) if start.isascii() and start.isdecimal() else None
            return QueueEntry(state, start_time, parse_duration(left), **known)
    return None


def parse_duration(text: str) -> float | None:
    """Seconds in `[days-][[hours:]minutes:]seconds`; None for anything else, which means no limit."""
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isascii() and part.isdecimal() for part in [days or "0", *parts]):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return 86400.0 * int(days or 0) + seconds


def time_of_day(moment: float, now: float) -> str:
    """A local time, with the date unless that is today. Both arguments in seconds since 1970."""
    then = time.localtime(moment)
    today = time.localtime(now)[:3] == then[:3]
    return time.strftime("%H:%M" if today else "%a %d %b %H:%M", then)


# Slurm's commands exit with 1 for every error: only the text on stderr says which one it was.


def is_unknown_job(stderr: str) -> bool:
    """Whether a command failed because Slurm does not know the job, or has forgotten it."""
    return "Invalid job id" in stderr


def has_ended(stderr: str) -> bool:
    """Whether scancel failed because the job has ended."""
    return "already complet" in stderr


def error_lines(stderr: str) -> list[str]:
    """What a command wrote to stderr, without the prefixes `sbatch: error: `; printable lines."""
    lines = (line.removeprefix(line.partition(": ")[0] + ": ").removeprefix("error: ") for line in stderr.splitlines())
    return [printable(line) for line in lines if line.strip()]

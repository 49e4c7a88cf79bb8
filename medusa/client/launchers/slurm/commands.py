"""What Slurm's commands are asked and what they answer, in words for people. No process is started here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from medusa.protocol.printable import printable

FORMAT = "%T|%S|%L|%B|%r"
"""squeue's, of one job: state, start, time left, batch host, reason."""

FILTERS = ("SQUEUE_", "SCANCEL_")
"""How variables begin that choose for squeue and scancel, or make scancel ask."""

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
"""States behind which nothing runs, see squeue(1) -> words."""

RUNNING, PENDING = "RUNNING", "PENDING"

_UNKNOWN = ("", "n/a", "N/A", "None", "Unknown")


@dataclass(frozen=True)
class Answer:
    """What squeue says of a job.

    Attributes:
        state: such as PENDING.
        start: when it began, or is expected to; seconds since 1970, None where Slurm does not know.
        left: seconds that it may still run, None for as long as it likes.
        host: where its script runs; "" for nowhere yet.
        reason: why it waits; "" for none.
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
        """`PENDING (Resources), starts about 14:05`, `RUNNING on node3`, `was cancelled`."""
        if not self.alive:
            return _ENDED[self.state]
        if self.state != PENDING:
            return self.state + (f" on {self.host}" if self.host else "")
        reason = f" ({self.reason})" if self.reason else ""
        return self.state + reason + ("" if self.start is None else f", starts about {when(self.start, clock())}")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For a command that hands it on to the job: nothing that is meant for mlogin, nor what would make sbatch wait."""
    return {n: value for n, value in environ.items() if not n.startswith("MEDUSA_") and n != "SBATCH_WAIT"}


def asking(environ: Mapping[str, str]) -> dict[str, str]:
    """For a command whose answer is read: in English, times as seconds since 1970, without the user's filters."""
    own = environment(environ)
    own = {name: value for name, value in own.items() if not name.startswith(FILTERS)}
    return {**own, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def submitted(text: str) -> tuple[str, list[str]]:
    """What `sbatch --parsable` printed: the job's id, and the option by which other commands find its cluster.

    Sites wrap sbatch in programs that print more, or speak as it does without --parsable.

    Raises ValueError: there is no id.
    """
    for line in reversed(text.splitlines()):
        job, _, cluster = line.strip().removeprefix("Submitted batch job ").partition(";")
        if job.isascii() and job.isdecimal():
            return job, [f"--clusters={cluster}"] if cluster else []
    raise ValueError(f"no job's id: {text!r}")


def answer(text: str) -> Answer | None:
    """What `squeue --noheader --format FORMAT` printed of a job; None if it knows none."""
    for line in text.splitlines():  # with --clusters, a line that names the cluster goes before
        fields = [printable(field.strip()) for field in line.split("|", 4)]
        if len(fields) == 5:
            state, start, left, host, reason = fields
            known = {name: "" if value in _UNKNOWN else value for name, value in (("host", host), ("reason", reason))}
            at = float(start) if start.isascii() and start.isdecimal() else None
            return Answer(state, at, duration(left), **known)
    return None


def duration(text: str) -> float | None:
    """Seconds in `[days-][[hours:]minutes:]seconds`; None for what is no limit."""
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isascii() and part.isdecimal() for part in [days or "0", *parts]):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return 86400.0 * int(days or 0) + seconds


def when(moment: float, now: float) -> str:
    """A time of day; with the date, where that is not today's."""
    then = time.localtime(moment)
    same = time.localtime(now)[:3] == then[:3]
    return time.strftime("%H:%M" if same else "%a %d %b %H:%M", then)


def complaint(text: str) -> list[str]:
    """What a command said on stderr, without the names that Slurm puts in front; printable lines."""
    lines = (line.removeprefix(line.partition(": ")[0] + ": ").removeprefix("error: ") for line in text.splitlines())
    return [printable(line) for line in lines if line.strip()]

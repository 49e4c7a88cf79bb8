"""Measures how busy other processes keep the two cores: time that neither the relay nor the load generator used."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from bench.processes import descendants

_TICK: int = os.sysconf("SC_CLK_TCK")

_KERNEL = 2
"""The pid of the parent of all kernel threads. They work for the relay: they pass on the bytes of terminals, too."""


class Bystanders:
    """A measurement of the load by processes other than the relay and this one. It begins when it is created.

    Args:
        pids: the relay's processes. Their descendants and the kernel's threads are counted with the relay.
        cores: the numbers of the two cores.
    """

    def __init__(self, pids: Sequence[int], cores: tuple[int, int]) -> None:
        self._pids = pids
        self._cores = cores
        self._begun = time.monotonic()
        self._others = self._seconds()

    def share(self) -> float:
        """Returns how many per cent of the two cores' time were used by other processes or withheld by the host.

        The time counts from the creation of this object until now.
        """
        elapsed = (time.monotonic() - self._begun) * len(self._cores)
        return max(0.0, 100.0 * (self._seconds() - self._others) / elapsed)

    def _seconds(self) -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = resource.getrusage(resource.RUSAGE_SELF)
        mine = sum(usage.ru_utime + usage.ru_stime for usage in (children, own))
        relay = sum(_process(pid) for first in (*self._pids, _KERNEL) for pid in descendants(first))
        return _busy(self._cores) - relay - mine


def _busy(cores: tuple[int, int]) -> float:
    """Returns the seconds that processes used on these cores, or the host stole from them, since the machine started.

    Time in interrupts does not count, because no process is charged for it.
    """
    wanted = {f"cpu{core}" for core in cores}
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    times = [[int(field) for field in fields] for name, *fields in lines if name in wanted]
    return sum(user + nice + system + steal for user, nice, system, _, _, _, _, steal, *_ in times) / _TICK


def _process(pid: int) -> float:
    """Returns the seconds of CPU time that a process and its ended children have used.

    Returns 0 if the process has ended, as socat does after it has served its pair.
    """
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / _TICK
    return 0.0

"""A reflector of several processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.peers import Peer
from tests.reflectors import Reflector, new_id
from tests.waiting import wait_until

Pair = tuple[Peer, Peer]


def ask(reflector: Reflector) -> list[dict[str, Any]]:
    """The lines of /status about each worker."""
    told: list[dict[str, Any]] = reflector.status(whole=False)["workers"]
    return told


def pids(reflector: Reflector) -> dict[int, int]:
    """The workers' pids by their numbers; waits until all answer."""
    return {worker["worker"]: worker["pid"] for worker in reflector.status()["workers"]}


def handed_over(reflector: Reflector) -> int:
    """Connections so far that were accepted by another worker than the owner of their session."""
    return sum(worker["taken_over"] for worker in reflector.status()["workers"])


def homes(reflector: Reflector) -> dict[str, int]:
    """The worker that each session lives in."""
    return {entry["id"]: entry["worker"] for entry in reflector.sessions()}


@contextlib.contextmanager
def pairs_everywhere(reflector: Reflector, each: int = 1) -> Iterator[dict[int, list[Pair]]]:
    """Linked pairs by the worker that they live in: at least `each` in each one."""
    with contextlib.ExitStack() as stack:
        found: dict[int, list[Pair]] = {number: [] for number in pids(reflector)}
        while min(map(len, found.values())) < each:
            session = new_id()
            pair = stack.enter_context(reflector.pair(session))
            found[homes(reflector)[session]].append(pair)
        yield found


def gone(pid: int) -> bool:
    """Whether a process has ended. A zombie counts: its parent may be another process, which has to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Suspends a process; continues it afterwards if it still exists."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T"))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def watched(pid: int) -> list[int]:
    """The descriptors in the process's epoll set, by the numbers that they had when they were added."""
    return [int(number) for file in Path(f"/proc/{pid}/fdinfo").iterdir() for number in _targets(file)]


def _targets(file: Path) -> list[str]:
    try:
        return re.findall(r"^tfd:\s+(\d+)", file.read_text(), re.MULTILINE)
    except FileNotFoundError:
        return []

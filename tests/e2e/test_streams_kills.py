"""Clients of a session that are killed at any moment: the session goes on, and nothing of them stays (`--keep 0`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.own_sessions import environ, train
from tests.terminals import ROOT, find, processes_of
from tests.waiting import PATIENCE, wait_until

ROUNDS = 16

KILL = """
import os, random, select, signal, sys
from medusa.client import mlogin
from medusa.client.queries import joining
from medusa.commands.own_sessions import execute
COMMANDS = [["--", "yes"], ["-t", "--", "sleep 1000 & wait"], ["--", "setsid sleep 1000; :"]]
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
moments, running = random.Random(13), []
for number in range(int(sys.argv[1])):
    if (pid := os.fork()) == 0:
        os._exit(execute.main(["--keep", "0", "train", *COMMANDS[number % len(COMMANDS)]]))
    running.append(pid)
while running:
    select.select([], [], [], moments.uniform(0, 0.1))
    pid = running.pop(0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""
"""Runs commands side by side, and kills their clients one after the other: before the first, or while they run."""


def held(pid: int) -> list[str]:
    """What the descriptors of a process are, apart from their numbers."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(path).partition(":")[0])
        except FileNotFoundError:
            continue  # it was that of the listing, or was closed meanwhile
    return sorted(found)


def test_killed_clients_leave_nothing(home: Path) -> None:
    with train(home):
        kept = [find(home, "agent.sh --config"), find(home, "medusa reflector")]
        wait_until(lambda: any(line.startswith("cat") for line in processes_of(home).values()))
        before, fds = processes_of(home), {pid: Counter(held(pid)) for pid in kept}
        command = [sys.executable, "-c", KILL, str(ROUNDS)]
        subprocess.run(command, cwd=ROOT, env=environ(home), stdin=subprocess.DEVNULL, check=True, timeout=3 * PATIENCE)

        def nothing_is_left() -> bool:
            # Fewer than before is right: what starts a session may not have closed all that it needs for that.
            more = any(Counter(held(pid)) - fds[pid] for pid in kept)
            return not more and processes_of(home).items() <= before.items()

        wait_until(nothing_is_left, "the end of all commands")
        last = [sys.executable, "-m", "medusa", "exec", "train", "-n", "--", "exit 6"]
        assert subprocess.run(last, cwd=ROOT, env=environ(home), timeout=PATIENCE).returncode == 6

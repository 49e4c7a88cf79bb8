"""Machines for recipes: each has its own home directory, in the place of the user's, and its own loopback."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.terminals import ROOT, Terminal, assert_nothing_left, environment, run_alone, terminal
from tests.waiting import wait_until
from tests.zones import python

REFLECTOR = "http://127.0.0.1:8381"
"""By this URL each machine reaches the reflector, as from a host behind no firewall."""

USERS_HOME = pwd.getpwuid(os.geteuid()).pw_dir
"""Programs such as ssh look there, whatever HOME is."""


class Machine:
    """Runs programs of one user.

    Attributes:
        home: what the machine's programs have for `~`.
        enter: a command that runs another one on this machine.
        environ: variables of the machine's programs.
    """

    def __init__(self, place: Path, process: int) -> None:
        self.home, self._temporary = place / "home", place / "tmp"
        self.enter = ["nsenter", f"--target={process}", "--net", "--mount"]
        known = environment(self._temporary)
        own = {name: known[name] for name in ("LC_ALL", "PYTHONPATH", "TERM", "TMPDIR")}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {**own, "HOME": USERS_HOME, "PATH": path, "SHELL": "/bin/bash"}

    def command(self, script: str) -> list[str]:
        """A command that runs these lines in the home directory, up to the first one that fails."""
        return [*self.enter, "bash", "-ec", f"cd\n{script}"]

    def run(self, script: str) -> str:
        """The output of these lines, all of which succeed."""
        done = run_alone(self.command(script), self.environ)
        assert done.returncode == 0, (script, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def terminal(self, script: str) -> contextlib.AbstractContextManager[Terminal]:
        """These lines on a terminal, for what goes on until Control-C."""
        return terminal(self.command(script), self.environ, columns=150)

    def check(self) -> None:
        """No process and no temporary file is left."""
        assert_nothing_left(self._temporary)


@contextlib.contextmanager
def machine(place: Path) -> Iterator[Machine]:
    """A machine whose directories are below `place`."""
    for name in ("home", "tmp"):
        (place / name).mkdir(parents=True, mode=0o700)
    report, write = os.pipe()
    command = ["bwrap", "--unshare-net", "--die-with-parent", "--info-fd", str(write), "--dev-bind", "/", "/"]
    command += ["--bind", str(place / "home"), USERS_HOME]
    for shown in (ROOT, python(), place):
        if shown.is_relative_to(USERS_HOME):
            command += ["--bind", str(shown), str(shown)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "pass_fds": [write]}
    with subprocess.Popen([*command, "sh", "-c", "echo ready; exec cat"], **pipes) as process:
        os.close(write)
        with open(report) as answer:
            made = Machine(place, json.load(answer)["child-pid"])
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"  # the number is told before the directories are in their places
        # Slurm asks for an address other than 127.0.0.1; nothing is sent to it.
        subprocess.run([*made.enter, "ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)
        yield made
        made.check()


@contextlib.contextmanager
def reaching(machines: list[Machine], port: int, place: Path) -> Iterator[None]:
    """These machines have the reflector of this port at REFLECTOR."""
    door, here = place / "door", f"TCP-LISTEN:{REFLECTOR.rpartition(':')[2]},bind=127.0.0.1,fork,reuseaddr"
    commands = [["socat", f"UNIX-LISTEN:{door},fork,unlink-close=0", f"TCP:127.0.0.1:{port}"]]
    commands += [[*each.enter, "socat", here, f"UNIX-CONNECT:{door}"] for each in machines]
    with contextlib.ExitStack() as stack:
        for command in commands:
            stack.callback(stack.enter_context(subprocess.Popen(command)).terminate)
        for each in machines:
            wait_until(lambda each=each: _answers(each), "the reflector")  # type: ignore[misc]
        yield


def _answers(machine: Machine) -> bool:
    asked = run_alone(machine.command(f"curl -fsS {shlex.quote(REFLECTOR)}/healthz"), machine.environ)
    return asked.returncode == 0

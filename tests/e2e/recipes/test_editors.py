"""Recipes for editors, whose own programs cannot be run here: the stock ssh and sftp do what they do, step by step."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.recipes import editor_client, editor_server
from tests.e2e.recipes.conftest import Recipe
from tests.machines import Machine
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("train")

BOOTSTRAP = Path(__file__).with_name("bootstrap.sh").read_text()
CLIENT = f"python {editor_client.__file__}"

SERVER = f"{sys.executable} {editor_server.__file__}"

SHELLS = {
    "a local server": "ssh -v -T -D 51234 -o ConnectTimeout=15 train.medusa",
    "no local server": "ssh -T -D 51234 -o ConnectTimeout=15 train.medusa bash --login -c bash",
}
"""By which Remote-SSH starts a shell in the job, with `remote.SSH.useLocalServer` and without."""


def _given(listen: str) -> str:
    """The first lines of the script."""
    names = {"ID": "8a958791f89c", "SERVER": SERVER, "LISTEN": listen}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in names.items())


class Connection:
    """A shell in the job, to which the editor writes a script; its ssh forwards what the editor connects to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.printed = ""

    def bootstrap(self, listen: str = "") -> dict[str, str]:
        """Writes the script. Returns what it has found out: the words before and after each `==`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write((_given(listen) + BOOTSTRAP).encode())
        self._process.stdin.flush()
        while "8a958791f89c: end\n" not in self.printed:
            line = self._process.stdout.readline().decode()
            assert line, self.printed
            self.printed += line
        assert re.search(r"8a958791f89c: running\nLinux \d", self.printed)
        return dict(re.findall(r"^(\w+)==(.*)==$", self.printed, re.MULTILINE))


@contextlib.contextmanager
def connection(here: Machine, command: str) -> Iterator[Connection]:
    """The connection of one window, which is closed by killing ssh."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(here.command(f"exec {command}"), env=here.environ, bufsize=0, **pipes) as process:
        try:
            yield Connection(process)
        finally:
            process.kill()
            process.wait(PATIENCE)


@pytest.fixture
def server(here: Machine) -> Iterator[None]:
    """Ends the server that a test has left in the job."""
    yield
    here.run("ssh train.medusa 'kill $(cat ~/.vscode-server/.server.pid); rm -r ~/.vscode-server'")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("command", SHELLS.values(), ids=SHELLS)
def test_vs_code(recipe: Callable[[str], Recipe], here: Machine, command: str) -> None:
    here.run(recipe("VS Code").block())
    with connection(here, command) as window:
        found = window.bootstrap()
        first = here.run(f"{CLIENT} {found['connectionToken']} 51234 {found['listeningOn']}")
        assert f"Spawned remote server: {first}" in window.printed
        assert here.run("ssh train.medusa 'cat ~/.vscode-server/.server.pid'") == first  # while the window is open
    with connection(here, command) as window:
        again = window.bootstrap()
        assert "Found running server...\n" in window.printed
        assert (again["listeningOn"], again["connectionToken"]) == (found["listeningOn"], found["connectionToken"])
        assert here.run(f"{CLIENT} {found['connectionToken']} 51234 {found['listeningOn']}") == first


@pytest.mark.usefixtures("server")
def test_vs_code_with_a_socket_of_the_job(here: Machine) -> None:
    """By `remote.SSH.remoteServerListenOnSocket`; the script is a command, as from VSCodium's extension."""
    path = here.run("ssh train.medusa 'mkdir ~/.vscode-server; echo ~/.vscode-server/sock'").strip()
    found = here.run(f"ssh train.medusa {shlex.quote(_given(path) + BOOTSTRAP)}")
    token = re.findall("connectionToken==(.*)==", found)[0]
    assert f"listeningOn=={path}==" in found
    with here.terminal(f"ssh -N -o ExitOnForwardFailure=yes -L 51235:{path} train.medusa"):
        pid = wait_until(lambda: _answer(here, f"{CLIENT} {token} 51235"), "the forwarded socket")
    assert f"Spawned remote server: {pid}" in found


def _answer(machine: Machine, script: str) -> str:
    """What these lines print; "" if they fail."""
    return machine.run(f"{script} 2>/dev/null || true").strip()


@pytest.mark.usefixtures("server")
def test_jetbrains_gateway(recipe: Callable[[str], Recipe], here: Machine) -> None:
    """Gateway asks for the system, copies its worker by SFTP, starts it, and forwards a port to it."""
    here.run(recipe("JetBrains Gateway").block())
    here.run("ssh -M -f -N -S ~/.ssh/gateway train.medusa >/dev/null 2>&1")
    there = "-S ~/.ssh/gateway train.medusa"
    assert here.run(f"ssh {there} 'uname -sm; echo $HOME'").startswith("Linux ")
    here.run(f"echo 'put {editor_server.__file__} worker.py' | sftp -q -b - -o ControlPath=~/.ssh/gateway train.medusa")
    pidfile = "~/.vscode-server/.server.pid"
    start = f"mkdir ~/.vscode-server; python worker.py 17 >log 2>&1 </dev/null & echo $! | tee {pidfile}"
    pid = here.run(f"ssh {there} {shlex.quote(start)}")
    log = wait_until(lambda: _answer(here, f"ssh {there} cat log"), "the worker")
    here.run(f"ssh -O forward -L 5990:127.0.0.1:{log.split()[-1]} {there}")
    assert here.run(f"{CLIENT} 17 5990") == pid
    here.run(f"ssh -O exit {there}")

"""A host that the user's own ssh reaches, such as a node that only the login node knows."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

from medusa.client import processes
from medusa.client.archive import find_archive
from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.launchers.script import with_settings
from medusa.client.launchers.ssh.connection import Master, short_place
from medusa.client.ledger import GRACE, Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

_DIRECT = 'no_proxy="${no_proxy:+$no_proxy,}127.0.0.1"; NO_PROXY=$no_proxy; export no_proxy NO_PROXY'
"""No proxy leads to the host's own loopback."""

PID_PATIENCE = 3.0
"""Seconds until the host has said which process the agent is."""


class SshLauncher(Launcher):
    """The archive in a shell of OBJECT, [USER@]HOST. mlogin's own reflector is reached by a port that ssh forwards."""

    name = "ssh"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others(self.name, "archive", "object", "arguments")
        if not settings.object or settings.object.startswith("-"):
            raise Failure("the launcher `ssh` needs a host: mlogin --launcher ssh [USER@]HOST [-- OPTIONS OF SSH]")
        if shutil.which("ssh") is None:
            raise Failure("the launcher `ssh` needs the program ssh, and there is none on PATH")
        self._archive = find_archive(settings.archive)
        self._host = settings.object
        self._options = settings.arguments
        self._ledger = ledger
        self._tell = settings.tell
        self._stack = contextlib.ExitStack()
        self._directory = Path()
        self._master: Master | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._state = JobState(alive=True, words="not started")

    def describe(self) -> str:
        return f"a job on {printable(self._host)}"

    def create(self) -> str:
        """Also connects: before mlogin attaches, as nobody knows how long the user thinks of his password."""
        self._directory = self._stack.enter_context(self._ledger.private_directory(short_place()))
        self._master = Master(self._host, self._options, self._directory, self._ledger)
        self._master.open()
        return super().create()

    def submit(self, request: JobRequest) -> None:
        assert self._master is not None
        config = request.config()
        url, lines = str(config["signed_url"]), ['echo "medusa-agent $$"']
        if request.embedded is not None:
            port = self._master.forward(request.embedded)
            url = urllib.parse.urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl()
            lines.append(_DIRECT)
        settings = dataclasses.replace(request, session_url=lambda _: url, environ={}).variables()
        try:
            script = with_settings(self._archive, settings, lines)
            self._process = self._master.spawn(script, self._log)
        except OSError as error:
            raise Failure(f"cannot start a job by ssh: {error}") from error

    def poll(self) -> JobState:
        if self._process is not None:
            status = self._process.poll()
            words = "running" if status is None else processes.ended(status)
            self._state = JobState(alive=status is None, words=words)
        return self._state

    def log_tail(self) -> list[str]:
        return [*processes.tail(self._log), *(self._master.words if self._master else [])]

    def finish(self, patience: float, *, clean: bool) -> None:
        if self._process is not None:
            processes.wait_quietly(self._process, patience)
        self.cancel()

    def cancel(self) -> None:
        self.poll()  # how it ended by itself, if it did
        master, self._master = self._master, None
        process, self._process = self._process, None
        with self._stack:
            if master is None:
                return
            if process is not None:
                _end(master, process)
            if master.silent:
                self._tell(f"{printable(master.host)} does not answer; the agent there ends when its link is lost")
            master.close()

    @property
    def _log(self) -> Path:
        return self._directory / "job.log"


def _end(master: Master, process: subprocess.Popen[bytes]) -> None:
    """Ends the agent on the host, if it runs, and our end of its shell."""
    for signal, patience in (("TERM", GRACE), ("KILL", GRACE)):
        if process.poll() is None and (pid := _agent(master, process)) and master.run(f"kill -{signal} {pid}"):
            processes.wait_quietly(process, patience)
    if process.poll() is None:
        process.kill()
    process.wait()


def _agent(master: Master, process: subprocess.Popen[bytes]) -> str | None:
    """The number of the agent's process on the host; what a login shell says before that is not it."""
    for _ in range(round(PID_PATIENCE / 0.1)):
        if found := re.search(rb"^medusa-agent (\d+)$", master.output.read_bytes(), re.MULTILINE):
            return found[1].decode()
        if processes.wait_quietly(process, 0.1):
            break
    return None

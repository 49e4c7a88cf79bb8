"""The job system that is always there: a process on this machine, as far from mlogin's surroundings as a real job."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

from medusa.client import processes
from medusa.client.archive import find_archive
from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""All a job gets of mlogin's environment, beside LC_*: no display, no agent sockets, no secrets."""


class LocalLauncher(Launcher):
    """`sh agent.sh` in a session of its own, in a private directory that goes with it."""

    name = "local"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others(self.name, "archive")
        self._archive = find_archive(settings.archive).resolve()
        self._ledger = ledger
        self._kill_grace = settings.timeouts.kill_grace
        self._stack = contextlib.ExitStack()
        self._log = Path(os.devnull)
        self._process: subprocess.Popen[bytes] | None = None

    def describe(self) -> str:
        return "local job" if self._process is None else f"local job {self._process.pid}"

    def submit(self, request: JobRequest) -> None:
        directory = self._stack.enter_context(self._ledger.private_directory())
        self._log = directory / "job.log"
        for name in ("work", "tmp"):
            (directory / name).mkdir()
        config = directory / "config.json"
        config.touch(0o600)
        config.write_text(json.dumps(request.config()))
        try:
            self._process = self._spawn(config, {**_environment(directory), **request.environ})
        except OSError as error:
            raise Failure(f"cannot start a local job: {error}") from error
        self._ledger.add("group", str(self._process.pid))

    def poll(self) -> JobState:
        if self._process is None:
            return JobState(alive=True, words="not started")
        status = self._process.poll()
        return JobState(alive=status is None, words="running" if status is None else processes.ended(status))

    def log_tail(self) -> list[str]:
        return processes.tail(self._log)

    def finish(self, patience: float, *, clean: bool) -> None:
        if self._process is not None:
            processes.wait_quietly(self._process, patience)
        self.cancel()

    def cancel(self) -> None:
        process, self._process = self._process, None
        with self._stack:
            if process is not None:
                # Also after the leader's own end: it may have left somebody in its group.
                processes.stop_group(process.pid, self._kill_grace, process.poll)
                self._ledger.remove("group", str(process.pid))

    def _spawn(self, config: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                ["sh", str(self._archive), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=config.parent / "work",
                env=environ,
                start_new_session=True,
            )


def _environment(directory: Path) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("LC_")}
    # Whatever the job leaves in its temporary directory goes with the rest, also after a SIGKILL.
    environ["TMPDIR"] = str(directory / "tmp")
    return environ

"""The launcher `local`: runs the agent as a process on this machine.

As in a job of a job system, the process has no terminal, and only a few of mlogin's environment variables.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from medusa.client import processes
from medusa.client.archive import find_archive
from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.launchers.compiled import compile_agent, compiled_file
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The environment variables that a job gets from mlogin, in addition to LC_*.

The job gets no other variables. So it cannot use the user's display or ssh-agent, and gets no secrets from variables.
"""

HELP = """\
usage: mlogin [local:] [OPTION...]
       mlogin --launcher local [OPTION...]

Runs the session on this machine, as a process of yours without your variables.
--archive FILE runs another agent than the one that mlogin carries. There are
no options after --."""


class LocalLauncher(Launcher):
    """Runs the agent as the process `sh agent.sh` on this machine, in its own process session.

    The process runs in a private directory, which cancel() removes. It starts early: it reads its configuration from a
    pipe, and so waits for the session without asking for it again and again.
    """

    name = "local"
    target = options_of = ""
    sees_end = True

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others(self.name, "archive")
        self._archive = find_archive(settings.archive).resolve()
        self._ledger = ledger
        self._kill_grace = settings.timeouts.kill_grace
        self._url_lifetime = settings.timeouts.url_lifetime
        self._stack = contextlib.ExitStack()
        self._log = Path(os.devnull)
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._config: int | None = None
        self._state = JobState(alive=True, words="not started")

    @classmethod
    def help(cls) -> str:
        return HELP

    def describe(self) -> str:
        return "local job" if self._pid is None else f"local job {self._pid}"

    def prepare(self, environ: Mapping[str, str]) -> None:
        directory = self._stack.enter_context(self._ledger.private_directory())
        self._log = directory / "job.log"
        for name in ("work", "tmp"):
            (directory / name).mkdir()
        try:
            reader, self._config = os.pipe()
            try:
                self._process = self._spawn(reader, directory, {**_environment(directory, self._archive), **environ})
            finally:
                os.close(reader)
        except OSError as error:
            raise Failure(f"cannot start a local job: {error}") from error
        self._pid = self._process.pid
        self._ledger.add("group", str(self._pid))

    def submit(self, request: JobRequest) -> None:
        if self._process is None:
            self.prepare(request.environ)
        assert self._config is not None
        config, self._config = self._config, None
        # If the agent has ended already, poll() says so.
        with contextlib.suppress(BrokenPipeError), os.fdopen(config, "w", encoding="utf-8") as pipe:
            json.dump(request.config(self._url_lifetime), pipe)

    def poll(self) -> JobState:
        if self._process is not None:
            status = self._process.poll()
            words = "running" if status is None else processes.ended(status)
            self._state = JobState(alive=status is None, words=words)
        return self._state

    def log_tail(self) -> list[str]:
        return processes.tail(self._log)

    def keep(self) -> bool:
        if self._process is not None:
            self._ledger.replace("group", str(self._process.pid), "await")
        return True

    def finish(self, grace: float, *, clean: bool) -> None:
        if self._process is not None:
            processes.wait_quietly(self._process, grace)
        self.cancel()
        if clean:
            compile_agent(self._archive)

    def cancel(self) -> None:
        self.poll()  # if the job has ended by itself, `_state` now says how
        process, self._process = self._process, None
        grace = self._kill_grace
        if self._config is not None:  # the agent has done nothing that it would have to end
            os.close(self._config)
            self._config, grace = None, 0.0
        with self._stack:
            if process is not None:
                # Do this even if the process itself has ended: others of its process group may still run.
                processes.stop_group(process.pid, grace, process.poll)
                for kind in ("group", "await"):
                    self._ledger.remove(kind, str(process.pid))

    def _spawn(self, config: int, directory: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        """Starts the agent. `config`: the descriptor from which it reads its configuration."""
        with self._log.open("wb") as log:
            return subprocess.Popen(
                ["sh", str(self._archive), "--config", "/dev/stdin"],
                stdin=config,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory / "work",
                env=environ,
                start_new_session=True,
            )


def _environment(directory: Path, archive: Path) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith("LC_")}
    # In the private directory, so that temporary files are removed with it, even after a SIGKILL.
    environ["TMPDIR"] = str(directory / "tmp")
    if os.access(sys.executable or "", os.X_OK) and not getattr(sys, "frozen", False):  # an upgrade may have removed it
        # So the archive need not look for a Python and try it, which takes longer than all else if PATH has a shim.
        # If possible, it need not unpack and compile the agent either.
        environ["MEDUSA_PYTHON"], environ["MEDUSA_RUNS"] = sys.executable, str(compiled_file(archive))
    return environ

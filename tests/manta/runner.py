"""Marlin: runs a job's tasks, each in a zone of its own made by bubblewrap.

A zone sees the system's programs, its assets below /assets, the input object below /manta, read-only, and a private
/tmp. All its processes end with it. On an address that only the zone knows, the store answers without authentication,
as the owner of the job.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests import zones
from tests.manta.jobs import Job
from tests.manta.objects import Objects
from tests.manta.settings import Settings

CERTIFICATE = Path(__file__).parents[1] / "tls" / "localhost.pem"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
"""Serves a connection of a zone that acts for a login."""

# $1 is the job's `init`, $2 its `exec`.
_DRIVER = '/bin/bash -c "$1" || exit; exec /bin/bash -c "$2"'


class CannotStart(Exception):
    """A task cannot start; `error` is the task's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class Runner:
    def __init__(self, settings: Settings, objects: Objects, serve: Serve) -> None:
        self._settings, self._objects, self._serve = settings, objects, serve

    async def run(self, job: Job, keys: list[str]) -> dict[str, Any] | None:
        """Runs one task to its end; returns its error, or None. Its zone ends also if the call is cancelled."""
        zone = self._settings.zones / str(uuid.uuid4())
        for directory in ("assets", "manta"):
            (zone / directory).mkdir(parents=True)
        try:
            error = await self._in_zone(job, keys, zone)
        except CannotStart as refused:
            error = refused.error
        finally:
            shutil.rmtree(zone)
        return {**error, "input": keys[0], "key": keys[0]} if error and keys else error

    async def _in_zone(self, job: Job, keys: list[str], zone: Path) -> dict[str, Any] | None:
        for path in job.phase.get("assets", []):
            self._fetch(job, path, zone / "assets", 0o755)
        inputs = [self._fetch(job, key, zone / "manta", 0o444) for key in keys]
        self._objects.at([job.login, "jobs", job.id, "stor"]).mkdir(parents=True, exist_ok=True)
        url, server = await self._store(job.login)
        try:
            return await self._execute(job, keys, inputs, zone, url)
        finally:
            server.close()

    def _fetch(self, job: Job, path: str, below: Path, mode: int) -> Path:
        names = path[1:].split("/")
        source = self._objects.at(names)
        if ".." in names or not (names[0] == job.login or names[1] == "public"):
            raise CannotStart("AuthorizationError", f'permission denied: "{path}"')
        if not source.is_file():
            kind = "TaskInitError" if below.name == "assets" else "ResourceNotFoundError"
            raise CannotStart(kind, f'could not load object: "{path}": it is not there')
        copy = below.joinpath(*names)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        copy.chmod(mode)
        return copy

    async def _store(self, login: str) -> tuple[str, asyncio.Server]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, login)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", server

    async def _execute(
        self, job: Job, keys: list[str], inputs: list[Path], zone: Path, url: str
    ) -> dict[str, Any] | None:
        phase, base = job.phase, f"/{job.login}/jobs/{job.id}/stor/{job.phase['type']}.0.{zone.name}"
        environ = {"MANTA_URL": url, "MANTA_OUTPUT_BASE": base, **_environment(job)}
        if phase["type"] != "reduce":
            environ |= {"MANTA_INPUT_FILE": f"/manta{keys[0]}", "MANTA_INPUT_OBJECT": keys[0]}
        output = self._objects.at(base[1:].split("/"))
        (zone / "stdin").write_bytes(b"".join(path.read_bytes() for path in inputs))
        with (
            open(zone / "stdin", "rb") as stdin,
            open(f"{output}.stdout", "wb") as stdout,
            open(f"{output}.stderr", "wb") as stderr,
        ):
            argv = [*_bubblewrap(zone), "/bin/bash", "-c", _DRIVER, "bash", phase.get("init", ""), phase["exec"]]
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=stdin, stdout=stdout, stderr=stderr, env=environ, start_new_session=True
            )
            status = await _end_of(process)
        if status == 0:
            return None
        message = f"user command exited with code {status}"
        return {"code": "UserTaskError", "message": message, "stderr": f"{base}.stderr"}


async def _end_of(process: asyncio.subprocess.Process) -> int:
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise


def _environment(job: Job) -> dict[str, str]:
    """The variables of every task; Manta sets no TERM, USER, SHELL or locale."""
    environ = {"HOME": "/root", "PATH": zones.search_path(), "MANTA_USER": job.login, "MANTA_JOB_ID": job.id}
    return {**environ, "MANTA_NO_AUTH": "true"}


def _bubblewrap(zone: Path) -> list[str]:
    argv = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "zone", "--die-with-parent"]
    argv += zones.programs()
    argv += ["--bind", str(zone / "assets"), "/assets", "--ro-bind", str(zone / "manta"), "/manta"]
    argv += ["--tmpfs", "/tmp", "--dir", "/root", "--dir", "/var/tmp"]
    argv += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", str(_trusted(zone)), "/etc/ssl/certs"]
    return [*argv, "--chdir", "/root", "--"]


def _trusted(zone: Path) -> Path:
    """A directory with the certificate that a zone trusts, that of its own Manta."""
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(CERTIFICATE)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    directory = zone / "certs"
    directory.mkdir()
    shutil.copyfile(CERTIFICATE, directory / f"{name}.0")
    return directory

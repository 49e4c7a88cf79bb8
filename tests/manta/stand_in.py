"""A Manta for tests: real HTTP, real signatures, real jobs. Start here.

    with manta(reflector_url="http://127.0.0.1:8381") as store:
        store.add_key("jill", public_key)              # a line as in authorized_keys
        store.add_archive(archive)                     # as /poseidon/public/medusa/agent.sh
        store.store("/jill/stor/a file", b"data")      # without a request
        ... a client of store.url ...
        store.job().state                              # queued, running or done
        store.stderr(store.job())                      # the agent's log

It refuses what Manta refuses, in Manta's words: no or a wrong signature, an unknown account or key, an expired URL, a
foreign path, an object below a missing directory, a bad job, input for a job whose input has ended. Jobs run in zones
of their own (see runner.py), so a machine that runs them needs bubblewrap; `zones` is a mark for tests that do.

With `hold=True`, or after `hold()`, jobs stay queued until `release()`. With `front_door=URL` attach requests go on to
a reflector's own front door as they came. `idle_limit` and `tls` are described in settings.py.
"""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.manta.objects import ROOTS
from tests.manta.runner import CERTIFICATE
from tests.manta.settings import Settings
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = "/poseidon/public/medusa/agent.sh"

zones = pytest.mark.skipif(
    not (shutil.which("bwrap") and shutil.which("openssl")), reason="needs bwrap (bubblewrap) and openssl"
)


class Job(NamedTuple):
    """The state of a job when it was read."""

    id: str
    owner: str
    state: str
    cancelled: bool
    inputs: list[str]
    errors: list[dict[str, Any]]
    phase: dict[str, Any]


class Manta:
    """A running stand-in.

    Attributes:
        url: for MANTA_URL, http or https.
        log: a file with one JSON object for each request (see `requests`), and tracebacks.
        certificate: what an https client must trust.
    """

    certificate = CERTIFICATE

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.log = Path(settings.root) / "log"
        self._settings = settings

    def add_key(self, login: str, public_key: bytes) -> None:
        """Adds a key to an account; adds the account, with its root directories, if it does not exist."""
        self._add_account(login)
        with open(self._settings.keys / login, "ab") as file:
            file.write(public_key.strip() + b"\n")

    def _add_account(self, login: str) -> None:
        for name in ROOTS:
            self.path(f"/{login}/{name}").mkdir(parents=True, exist_ok=True)
        (self._settings.keys / login).touch()

    def path(self, name: str) -> Path:
        """The file or directory of `/login/stor/...`; it need not exist."""
        return self._settings.objects / name.lstrip("/")

    def store(self, name: str, data: bytes) -> Path:
        """Stores an object, and makes its directories."""
        path = self.path(name)
        self._add_account(name.split("/")[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def add_archive(self, archive: Path) -> None:
        self.store(ARCHIVE, archive.read_bytes())

    def objects(self, name: str) -> list[str]:
        """The names in a directory."""
        return sorted(entry.name for entry in self.path(name).iterdir())

    def jobs(self) -> list[Job]:
        """All jobs, in no order."""
        return [_job(json.loads(path.read_bytes())) for path in self._settings.jobs.glob("*.json")]

    def job(self) -> Job:
        """The one job, after waiting for it."""
        (job,) = wait_until(self.jobs, "a job")
        return job

    def stderr(self, job: Job) -> str:
        """The standard error of all tasks: the agents' logs."""
        found = sorted(self.path(f"/{job.owner}/jobs/{job.id}/stor").glob("*.stderr"))
        return "".join(path.read_text() for path in found)

    def hold(self) -> None:
        """Keeps jobs in the queue that do not run yet."""
        self._settings.hold.touch()

    def release(self) -> None:
        """Lets queued jobs run."""
        self._settings.hold.unlink()

    def requests(self, method: str, path: str) -> list[dict[str, str]]:
        """The logged requests: method, path, who, outcome (`ok` or a code) and, for an error, status and message."""
        lines = [line for line in self.log.read_text().splitlines(keepends=True) if line.startswith("{")]
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if entry["method"] == method and path in entry["path"]]

    def zone_processes(self) -> list[str]:
        """The command lines of the zones that run."""
        mark, found = self._settings.zones.as_posix().encode(), []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes()
                if mark in line:
                    found.append(line.replace(b"\0", b" ").decode("utf-8", "replace"))
        return found


def _job(record: dict[str, Any]) -> Job:
    return Job(**{name: record[name] for name in Job._fields[:-1]}, phase=record["phases"][0])


@contextlib.contextmanager
def manta(
    *,
    tls: bool = False,
    reflector_url: str = "",
    front_door: str = "",
    hold: bool = False,
    idle_limit: float = 30.0,
) -> Iterator[Manta]:
    """A Manta on a free port. At the end nothing of it is left, no zone either."""
    with tempfile.TemporaryDirectory(prefix="manta-") as root:
        settings = Settings(root, tls, reflector_url, front_door, idle_limit)
        for directory in (settings.objects, settings.keys, settings.jobs, settings.zones):
            directory.mkdir()
        if hold:
            settings.hold.touch()
        path = Path(root) / "log"
        command = [sys.executable, "-m", "tests.manta", settings.text()]
        with (
            open(path, "ab") as log,
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            try:
                yield Manta(_url(process, path), settings)
                assert process.stdin is not None
                process.stdin.close()
                process.wait(PATIENCE)
            finally:
                process.kill()
        # asyncio and Python log exceptions that nothing handles.
        assert "Traceback" not in path.read_text(), path.read_text()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    line = process.stdout.readline().decode() if ready else ""
    assert line.startswith("http"), log.read_text()
    return line.strip()

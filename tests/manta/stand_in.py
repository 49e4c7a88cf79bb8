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

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.manta.objects import ROOTS
from tests.manta.runner import CERTIFICATE
from tests.manta.server import Server
from tests.manta.settings import Settings
from tests.waiting import PATIENCE, wait_until

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
        certificate: what an https client must trust.
    """

    certificate = CERTIFICATE

    def __init__(self, url: str, settings: Settings, server: Server) -> None:
        self.url, self._settings, self._server = url, settings, server

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
        return [
            Job(job.id, job.login, job.state, job.cancelled, [*job.inputs], [*job.errors], job.phase)
            for job in self._server.jobs.all()
        ]

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
        self._server.jobs.held = True

    def release(self) -> None:
        """Lets queued jobs run."""
        self._server.jobs.held = False

    def requests(self, method: str = "", path: str = "") -> list[dict[str, str]]:
        """The requests so far; see Server.log."""
        return [one for one in [*self._server.log] if method in ("", one["method"]) and path in one["path"]]

    def zone_processes(self) -> list[str]:
        """The command lines of the zones that run."""
        mark, found = self._settings.zones.as_posix().encode(), []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes()
                if mark in line:
                    found.append(line.replace(b"\0", b" ").decode("utf-8", "replace"))
        return found


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
        settings = Settings(Path(root), tls, reflector_url, front_door, idle_limit)
        for directory in (settings.objects, settings.keys, settings.zones):
            directory.mkdir()
        server = Server(settings)
        server.jobs.held = hold
        with _running(server) as url:
            yield Manta(url, settings, server)


@contextlib.contextmanager
def _running(server: Server) -> Iterator[str]:
    """Runs the server in a thread; yields its URL."""
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    urls: list[str] = []
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))

    async def serve() -> None:
        async with server.listening() as url:
            urls.append(url)
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="manta")
    thread.start()
    try:
        wait_until(lambda: urls, "the stand-in for Manta")
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE)
        loop.run_until_complete(_cancel_all())
        loop.close()
    assert failures == []


async def _cancel_all() -> None:
    """Ends the connections that clients still hold."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""A Manta with a reflector, and npm's mlogin as its client."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from medusa.client.archive import find_archive
from tests.links import CERTIFICATE
from tests.manta.stand_in import Job, Manta, manta
from tests.reflectors import Reflector, running
from tests.terminals import Terminal, terminal
from tests.waiting import PATIENCE, wait_until

MODULES = Path(sys.prefix) / "node_modules"
NEW, OLD = "manta", "manta2"
"""Versions 5.2.3 and 2.0.7 of npm's manta, by the names that scripts/setup gives them."""

LOGIN = "jill"
PROMPT = rf"{LOGIN}@manta # "

needs = [
    pytest.mark.skipif(
        not (shutil.which("node") and (MODULES / NEW).is_dir() and (MODULES / OLD).is_dir()),
        reason="needs node, and npm manta, new and old, in node_modules of the virtual environment",
    ),
    pytest.mark.skipif(
        not all(map(shutil.which, ("bwrap", "openssl", "ssh-keygen"))), reason="needs bubblewrap, openssl, ssh-keygen"
    ),
]


class Home(NamedTuple):
    """A user's home directory with an SSH key in the place where smartdc-auth expects it."""

    directory: Path
    fingerprint: str
    public_key: bytes


def make_home(directory: Path, *kind: str) -> Home:
    """Args: kind: options of ssh-keygen for the key."""
    path = directory / ".ssh" / "id_test"
    path.parent.mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-C", "somebody", "-f", path], check=True)
    listing = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", path], check=True, capture_output=True, text=True
    ).stdout
    return Home(directory, listing.split()[1].removeprefix("MD5:"), path.with_suffix(".pub").read_bytes())


class Place:
    """A Manta with a reflector, a user's account, and the published archive.

    `door`: peers come to the reflector's own front door; otherwise muskie forwards them.
    """

    def __init__(self, store: Manta, reflector: Reflector, home: Home, *, door: bool) -> None:
        self.store, self.reflector, self.door, self._home = store, reflector, door, home

    def environ(self, **more: str) -> dict[str, str]:
        found = {"PATH": os.environ["PATH"], "HOME": str(self._home.directory), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        found |= {"MANTA_URL": self.store.url, "MANTA_USER": LOGIN, "MANTA_KEY_ID": self._home.fingerprint}
        return {**found, **more}

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the last session, by `medusa exec` at the reflector itself."""
        session = self.reflector.logged("session started")[-1]["session"]
        key = str(self._home.directory / ".ssh" / "id_test")
        account = ["-a", LOGIN, "-k", key, "--insecure-tls"] if self.door else ["-a", ""]
        argv = [sys.executable, "-m", "medusa", "exec", session, "--reflector", self.reflector.url, *account]
        argv += ["-n", "--", *command]
        return subprocess.run(argv, capture_output=True, text=True, env=self.environ(), timeout=PATIENCE, check=False)

    @contextlib.contextmanager
    def mlogin(self, version: str, *arguments: str, **environ: str) -> Iterator[Mlogin]:
        """Runs npm's mlogin on a terminal of its own."""
        # Old packages use deprecated functions, and node would print warnings on the screen.
        argv = ["node", "--no-deprecation", str(MODULES / version / "bin" / "mlogin"), *arguments]
        with terminal(argv, self.environ(**environ)) as screen:
            yield Mlogin(screen, self.store)


class Mlogin:
    """A run of npm's mlogin."""

    def __init__(self, screen: Terminal, store: Manta) -> None:
        self.screen, self._store = screen, store
        self.job_id = ""

    def created(self) -> str:
        """Waits for the id of its job, and returns it."""
        self.job_id = self.screen.until(r"created interactive job -- ([0-9a-f-]{36})").group(1).decode()
        return self.job_id

    def prompted(self) -> None:
        """Waits for the prompt of the shell in the job."""
        self.created()
        self.screen.until("session established|established")
        self.screen.until(PROMPT)

    def ask(self, line: str, answer: str) -> re.Match[bytes]:
        """Types a line at the prompt; returns the answer, after the next prompt has come."""
        self.screen.type(line + "\r")
        found = self.screen.until(answer)
        self.screen.until(PROMPT)
        return found

    def job(self) -> Job:
        (job,) = [job for job in self._store.jobs() if job.id == self.job_id]
        return job

    def over(self) -> Job:
        """Waits until the job has ended and nothing of the session is left in the Manta; returns the job."""
        wait_until(lambda: self.job().state == "done", "the job's end")
        wait_until(lambda: not self._config_objects(), "the removal of the config object")
        wait_until(lambda: not self._store.zone_processes(), "the end of the zone")
        return self.job()

    def _config_objects(self) -> list[str]:
        return [name for name in self._store.objects(f"/{LOGIN}/stor") if name.startswith("medusa-config-")]


@contextlib.contextmanager
def muskie_place(
    home: Home, *arguments: str, timeouts: Mapping[str, float] = {}, idle_limit: float = 30.0, tls: bool = False
) -> Iterator[Place]:
    """A Manta whose muskie forwards to the reflector. Args: arguments: of the reflector."""
    with (
        running(*arguments, timeouts=timeouts) as reflector,
        manta(tls=tls, reflector_url=reflector.url, idle_limit=idle_limit) as store,
    ):
        yield _furnished(store, reflector, home, door=False)


@contextlib.contextmanager
def door_place(home: Home, accounts: Path, tls: bool = False, legacy: bool = True) -> Iterator[Place]:
    """A Manta that forwards to the reflector's own front door. Args: legacy: it accepts signed Dates without more."""
    accounts.mkdir()
    (accounts / LOGIN).write_bytes(home.public_key)
    options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)] if tls else []
    options += ["--legacy-signatures"] if legacy else []
    with (
        running("--accounts", str(accounts), *options) as reflector,
        manta(tls=tls, front_door=reflector.url) as store,
    ):
        yield _furnished(store, reflector, home, door=True)


def _furnished(store: Manta, reflector: Reflector, home: Home, *, door: bool) -> Place:
    store.add_key(LOGIN, home.public_key)
    store.add_archive(find_archive())
    return Place(store, reflector, home, door=door)

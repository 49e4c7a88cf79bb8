"""Places where the original's clients log in: a Manta, a reflector, and the front door between them."""

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
from tests.waiting import wait_until

MODULES = Path(sys.prefix) / "node_modules"
NEW, OLD = "manta", "manta2"
"""npm manta 5.2.3 and 2.0.7, as scripts/setup names them."""

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
    """A user's home directory with an SSH key, where smartdc-auth looks for it."""

    directory: Path
    fingerprint: str
    public_key: bytes


def make_home(directory: Path, *kind: str) -> Home:
    """`kind`: options of ssh-keygen for the key."""
    path = directory / ".ssh" / "id_test"
    path.parent.mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-C", "somebody", "-f", path], check=True)
    listing = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", path], check=True, capture_output=True, text=True
    ).stdout
    return Home(directory, listing.split()[1].removeprefix("MD5:"), path.with_suffix(".pub").read_bytes())


class Place:
    """A Manta with a reflector behind it, the account, and its archive published."""

    def __init__(self, store: Manta, reflector: Reflector, home: Home) -> None:
        self.store, self.reflector, self._home = store, reflector, home

    def environ(self, **more: str) -> dict[str, str]:
        found = {"PATH": os.environ["PATH"], "HOME": str(self._home.directory), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        found |= {"MANTA_URL": self.store.url, "MANTA_USER": LOGIN, "MANTA_KEY_ID": self._home.fingerprint}
        return {**found, **more}

    @contextlib.contextmanager
    def mlogin(self, version: str, *arguments: str, **environ: str) -> Iterator[Mlogin]:
        """npm's, on a terminal of its own."""
        # Old packages use what today's node warns of, in the middle of the screen.
        argv = ["node", "--no-deprecation", str(MODULES / version / "bin" / "mlogin"), *arguments]
        with terminal(argv, self.environ(**environ)) as screen:
            yield Mlogin(screen, self.store)


class Mlogin:
    """A login of npm's mlogin."""

    def __init__(self, screen: Terminal, store: Manta) -> None:
        self.screen, self._store = screen, store
        self.job_id = ""

    def created(self) -> str:
        """The id of its job, when it says so."""
        self.job_id = self.screen.until(r"created interactive job -- ([0-9a-f-]{36})").group(1).decode()
        return self.job_id

    def prompted(self) -> None:
        """The shell in the job waits for a line."""
        self.created()
        self.screen.until("session established|established")
        self.screen.until(PROMPT)

    def ask(self, line: str, answer: str) -> re.Match[bytes]:
        """A line typed at the prompt, and what comes of it, up to the next prompt."""
        self.screen.type(line + "\r")
        found = self.screen.until(answer)
        self.screen.until(PROMPT)
        return found

    def job(self) -> Job:
        (job,) = [job for job in self._store.jobs() if job.id == self.job_id]
        return job

    def over(self) -> Job:
        """The job at its end, by when nothing of the login is left in the Manta."""
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
    """Where muskie stands before `/attach/`; `arguments` are the reflector's."""
    with (
        running(*arguments, timeouts=timeouts) as reflector,
        manta(tls=tls, reflector_url=reflector.url, idle_limit=idle_limit) as store,
    ):
        yield _furnished(store, reflector, home)


@contextlib.contextmanager
def door_place(home: Home, accounts: Path, tls: bool = False, legacy: bool = True) -> Iterator[Place]:
    """Where the reflector's own front door is; `legacy`: it takes what these clients sign, the Date alone."""
    accounts.mkdir()
    (accounts / LOGIN).write_bytes(home.public_key)
    options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)] if tls else []
    options += ["--legacy-signatures"] if legacy else []
    with (
        running("--accounts", str(accounts), *options) as reflector,
        manta(tls=tls, front_door=reflector.url) as store,
    ):
        yield _furnished(store, reflector, home)


def _furnished(store: Manta, reflector: Reflector, home: Home) -> Place:
    store.add_key(LOGIN, home.public_key)
    store.add_archive(find_archive())
    return Place(store, reflector, home)

"""Archives for the tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import ROOT, Reflector


def build(target: Path, *options: str, **environ: str) -> bytes:
    """Builds the archive like the Makefile, with some variables changed. Raises CalledProcessError."""
    command = ["sh", str(ROOT / "scripts" / "mkshar.sh"), *options, str(target)]
    subprocess.run(command, env={**os.environ, "PYTHON": sys.executable, **environ}, check=True, capture_output=True)
    return target.read_bytes()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the present sources."""
    path = tmp_path_factory.mktemp("archive") / "agent.sh"
    build(path)
    return path


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A TMPDIR with a space in its name. It must be empty after each run."""
    path = tmp_path / "the tmp"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def standalone() -> Path:
    """The archive with its own Python. `make standalone` builds it if it is not up to date."""
    path = ROOT / "build" / "agent-standalone.sh"
    path.parent.mkdir(exist_ok=True)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "standalone"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture
def reflector() -> Iterator[Reflector]:
    reflector = Reflector()
    yield reflector
    reflector.close()

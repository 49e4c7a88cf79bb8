from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import ROOT, Reflector


def build(target: Path, **environ: str) -> bytes:
    """Build the archive as the Makefile does, with `environ` on top."""
    command = ["sh", str(ROOT / "scripts" / "mkshar.sh"), str(target)]
    subprocess.run(command, env={**os.environ, "PYTHON": sys.executable, **environ}, check=True, capture_output=True)
    return target.read_bytes()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the tree as it is now."""
    path = tmp_path_factory.mktemp("archive") / "agent.sh"
    build(path)
    return path


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A TMPDIR with a space, to be found empty after each run."""
    path = tmp_path / "the tmp"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def standalone() -> Path:
    """The archive with a Python of its own, as `make standalone` makes it where it is not up to date."""
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

"""Packages of this project, built from copies of its sources, because a build writes files beside them."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

EARLIER = "d2ddf8cc0fc6bef5f0b81a915880d8d529fd8637"
"""The commit whose programs have to work together with the present ones."""

WITHOUT_C = {"CC": "false"}
"""Variables of a machine that has no C compiler."""

AS_PIPX = {"PYTHONSAFEPATH": "1"}
"""Variables that pipx sets."""

# A build without isolation: with the packages that are installed, and nothing of the working directory.
_BUILD = """
import sys; sys.path = [path for path in sys.path if path]
from setuptools import build_meta
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""


def built(kind: str, tree: Path, target: Path, **environ: str) -> Path:
    """Builds the `sdist` or `wheel` of the sources in `tree`. Returns the new file in the directory `target`."""
    target.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _BUILD, kind, str(target)]
    done = subprocess.run(command, cwd=tree, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target / done.stdout.splitlines()[-1]


def copy_sources(target: Path) -> Path:
    """Copies what git has, and would take, except tests and benchmark. Returns `target`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.split("\0"):
        if not name.startswith(("tests/", "bench/")) and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def unpacked_sdist(sdist: Path, target: Path) -> Path:
    """Returns the directory with the sources."""
    with tarfile.open(sdist) as packed:
        packed.extractall(target, filter="data")
    (tree,) = target.iterdir()
    return tree


def link_packages(target: Path, requirements: Iterable[str]) -> None:
    """Links the installed packages that satisfy `requirements`, and what these require, into the directory `target`."""
    seen: set[str] = set()
    left = [*requirements]
    while left:
        wanted = Requirement(left.pop())
        if wanted.name not in seen and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            seen.add(wanted.name)
            package = metadata.distribution(wanted.name)
            left += package.requires or []
            for name in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
                if not (target / name).exists():  # several packages may share a namespace
                    (target / name).symlink_to(str(package.locate_file(name)))


def earlier(target: Path) -> Path:
    """Unpacks the wheel of the earlier commit, or of the present one if the clone is too shallow. Returns `target`.

    The wheel is kept in build/, because neither the commit nor what it needs changes.
    """
    kept = ROOT / "build"
    kept.mkdir(exist_ok=True)
    with (kept / "lock-earlier").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        commit = next(filter(_commit, [EARLIER, "HEAD"]))
        wheel = kept / f"earlier-{_commit(commit)}.whl"
        if not wheel.exists():
            tree = target / "sources"
            packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(packed)) as sources:
                sources.extractall(tree, filter="data")
            built("wheel", tree, target / "wheel", **WITHOUT_C).rename(wheel)
    with ZipFile(wheel) as opened:
        opened.extractall(target / "installed")
    return target / "installed"


def _commit(name: str) -> str:
    """The whole name of a commit; empty if this repository does not have it."""
    command = ["git", "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

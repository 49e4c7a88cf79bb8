"""`pip install` installs both programs and the agent's archive as data, and not the agent as a package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts.helppages.__main__ import completions, man_pages

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["LICENSE", "README.md", "agent", "medusa", "pyproject.toml", "scripts", "setup.py"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources without the archive: a build writes files beside its sources."""
    tree, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", "data")
        shutil.copytree(source, tree / name, ignore=ignore) if source.is_dir() else shutil.copy(source, tree)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_archive_is_the_one_that_make_builds(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        assert packed.read("medusa/data/agent.sh") == (ROOT / "medusa/data/agent.sh").read_bytes()


def test_man_pages_and_completions_are_installed(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        names = {name.partition(".data/data/")[2] for name in packed.namelist()}
    assert {*man_pages(), *completions()} <= names


def test_only_medusa_is_installed(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        names = packed.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"medusa", "medusa_session"}
    assert "medusa/py.typed" in names


def test_both_programs_are_entry_points(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith("/entry_points.txt"))
        lines = packed.read(name).decode().split("\n")
    assert {"medusa = medusa.commands.main:main", "mlogin = medusa.commands.mlogin:main"} <= set(lines)

"""The packages: the sdist builds the wheel, both pass twine, and the wheel runs in an empty virtual environment."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest

from medusa import __version__
from scripts.helppages.__main__ import completions, man_pages
from tests.terminals import assert_nothing_left, environment, run_alone
from tests.wheels import AS_PIPX, ROOT, WITHOUT_C, built, copy_sources, link_packages, unpacked_sdist

OF_DOCKER = {"Dockerfile", "Dockerfile.dockerignore"}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sdist")
    return built("sdist", copy_sources(place / "tree"), place / "dist")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the sdist, by pipx, where there is no C compiler."""
    place = tmp_path_factory.mktemp("wheel")
    return built("wheel", unpacked_sdist(sdist, place / "sources"), place / "dist", **WITHOUT_C, **AS_PIPX)


def test_twine_finds_nothing_wrong(sdist: Path, wheel: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_archive_is_the_one_that_make_builds(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        assert packed.read("medusa/data/agent.sh") == (ROOT / "medusa/data/agent.sh").read_bytes()


def test_man_pages_and_completions_are_installed(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        names = {name.partition(".data/data/")[2] for name in packed.namelist()}
    assert {*man_pages(), *completions()} <= names


def test_the_wheel_has_medusa_and_its_samples_only(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        names = packed.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"medusa", "medusa_session"}
    assert "medusa/py.typed" in names
    assert [name for name in names if name.endswith((".c", ".so"))] == []
    samples = {name.rpartition("/")[2] for name in names if ".data/data/share/medusa/" in name}
    assert samples == {path.name for path in (ROOT / "deploy").iterdir() if path.is_file()} - OF_DOCKER


def test_the_sdist_has_no_file_of_a_build(sdist: Path) -> None:
    with tarfile.open(sdist) as packed:
        names = packed.getnames()
    assert [name for name in names if name.endswith((".so", "agent.sh", ".pyc"))] == []


def test_both_programs_are_entry_points(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith("/entry_points.txt"))
        lines = packed.read(name).decode().split("\n")
    assert {"medusa = medusa.commands.main:main", "mlogin = medusa.commands.mlogin:main"} <= set(lines)


def test_it_runs_in_an_empty_environment(wheel: Path, tmp_path: Path, home: Path) -> None:
    venv = tmp_path / "venv"
    for command in (
        ["-m", "venv", "--without-pip", str(venv)],
        ["-m", "pip", f"--python={venv}/bin/python", "install", "--quiet", "--no-deps", "--no-compile", str(wheel)],
    ):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (site,) = venv.glob("lib/python*/site-packages")
    (about,) = metadata.distributions(name="medusa-session", path=[str(site)])
    link_packages(site, about.requires or [])  # exactly what pip would install, without the network
    environ = environment(home)
    del environ["PYTHONPATH"]
    assert run_alone([f"{venv}/bin/medusa", "--version"], environ).stdout == f"medusa {__version__}\n"
    done = run_alone([f"{venv}/bin/mlogin", "-c", "echo $((6 * 7)); exit 7"], environ)
    assert (done.returncode, done.stdout.split()) == (7, ["42"]), done.stderr
    assert (venv / "share/medusa/ci-hold.sh").is_file()
    assert_nothing_left(home)

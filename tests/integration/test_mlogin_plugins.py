"""Launchers of other packages: the one in the documentation, and broken ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminals import MLOGIN, ROOT, environment, run_alone, terminal

DOCUMENT = ROOT / "docs/launchers.md"
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which the documented package is installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    text = DOCUMENT.read_text()
    for name, kind in (("pyproject.toml", "toml"), ("medusa_nice.py", "python")):
        (block,) = re.findall(rf"`{re.escape(name)}`:\n\n```{kind}\n(.*?)```", text, re.DOTALL)
        (source / name).write_text(block)
    done = subprocess.run([*PIP, "--target", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def environ(home: Path, installed: Path, tmp_path: Path) -> dict[str, str]:
    """Variables for mlogin, which finds the documented package and those that add() writes."""
    return {**environment(home), "PYTHONPATH": f"{installed}:{tmp_path}:{ROOT}"}


def add(directory: Path, name: str, attribute: str, module: str) -> None:
    """Writes an installed package, as pip would."""
    package = f"medusa_{name}"
    (directory / f"{package}.py").write_text(module)
    info = directory / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: medusa-{name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[medusa.launchers]\n{name} = {package}:{attribute}\n")


def mlogin(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_alone([*MLOGIN, *arguments], environ)


def test_the_documented_launcher_runs_a_session(environ: dict[str, str]) -> None:
    with terminal([*MLOGIN, "--launcher", "nice", "--", "-n", "5"], environ) as opened:
        opened.until(r"#\x1b\[0m ")
        opened.type("nice\r")
        opened.until(rf"\r{min(os.nice(0) + 5, 19)}\r\n")
        opened.type("~i")
        opened.until("job        a nice job: running")
        opened.type("\rexit 7\r")
        assert opened.status() == 7


def test_a_failure_of_its_program_is_shown(environ: dict[str, str]) -> None:
    run = mlogin(environ, "--launcher", "nice", "--", "--no-such-option")
    assert run.returncode == 255
    assert "a nice job ended with status 125 before its agent appeared" in run.stderr
    assert "--no-such-option" in run.stderr


def test_an_unknown_name(environ: dict[str, str]) -> None:
    run = mlogin(environ, "--launcher", "nicer")
    assert run.returncode == 255
    assert re.search(r"there is no launcher `nicer`; there are .*\blocal, .*\bmanual, nice\b", run.stderr)
    assert "nice" in mlogin(environ, "--help").stdout


def test_its_help(environ: dict[str, str]) -> None:
    run = mlogin(environ, "nice:", "--help")
    assert run.stdout.startswith(
        "usage: mlogin nice: [OPTION...] [-- OPTION OF NICE...]\n\nRuns the session on this machine"
    )
    forgotten = mlogin(environ, "nice:", "--adjustment=5").stderr
    assert "options of nice go after --: mlogin nice: -- --adjustment=5" in forgotten


@pytest.mark.parametrize(
    ("module", "error"),
    [
        (
            "raise RuntimeError('no such\\x1b cluster')",
            r"does not load: RuntimeError\('no such\\x1b cluster'\)",
        ),
        ("Broken = 7", r"is no subclass of medusa.client.launchers.base.Launcher"),
    ],
)
def test_a_broken_package_is_named_and_does_not_affect_others(
    environ: dict[str, str], tmp_path: Path, module: str, error: str
) -> None:
    add(tmp_path, "broken", "Broken", module)
    run = mlogin(environ, "--launcher", "broken")
    assert run.returncode == 255
    assert re.search(r"the launcher `broken` \(medusa_broken:Broken of medusa-broken\) " + error, run.stderr), (
        run.stderr
    )
    assert "Traceback" not in run.stderr
    assert mlogin(environ, "-q", "--launcher", "nice", "-c", "exit 7").returncode == 7


def test_our_own_launchers_cannot_be_replaced(environ: dict[str, str], tmp_path: Path) -> None:
    add(tmp_path, "local", "Local", "raise SystemExit(3)")
    run = mlogin(environ, "--launcher", "local", "-c", "exit 7")
    assert run.returncode == 7
    assert "local job" in run.stderr

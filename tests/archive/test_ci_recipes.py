"""The recipes of docs/ci.md, run unchanged, up to a user's session in place of a step that failed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.agents import launched
from tests.reflectors import running
from tests.signing import Key, allow
from tests.terminals import MLOGIN, ROOT, environment, run_alone
from tests.waiting import PATIENCE

RECIPES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)


class Runner:
    """A CI runner: a work directory whose test fails, and programs that need no network."""

    def __init__(self, place: Path, key: Key, url: str) -> None:
        self.place, self.bin, self.work = place, place / "bin", place / "work"
        for directory in (self.bin, self.work, place / "temp"):
            directory.mkdir()
        (self.work / "Makefile").write_text("test:\n\t@echo it broke; exit 1\n")
        self.program("pip", "exit 0")
        self.program("medusa", f'exec {shlex.quote(sys.executable)} -m medusa "$@"')
        self.key = place / "key"
        self.key.write_bytes(key.pem())
        self.key.chmod(0o644)
        self.environ = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(place),
            "MEDUSA_PYTHON": sys.executable,
            "MEDUSA_URL": url,
        }

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def step(self, script: str, environ: dict[str, str]) -> None:
        command = ["bash", "-eo", "pipefail", "-c", script]
        subprocess.run(command, env={**self.environ, **environ}, cwd=self.work, check=True, timeout=3 * PATIENCE)

    def check_failure_and_session(self, script: str, environ: dict[str, str], sessions: int = 1) -> None:
        with launched(["bash", "-ec", script], {**self.environ, **environ}, cwd=self.work) as step:
            log = step.logged("to look into it: mlogin .*\n")
            found = re.search("mlogin (.*)\n", log)
            assert found is not None
            words = [*MLOGIN, *shlex.split(found.group(1)), "-k", str(self.place / "alice"), "-c"]
            for _ in range(sessions):  # each session needs a URL of its own
                done = run_alone([*words, "pwd"], environment(self.place / "temp"))
                assert done.returncode == 0, done.stderr
                assert "it broke" in done.stdout
                assert str(self.work) in done.stdout
            done = run_alone([*words, "kill $PPID"], environment(self.place / "temp"))
            assert "stopped by SIGTERM" in done.stderr
            status, log = step.finish()
        assert status == 2
        assert "ignature" not in log


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    accounts, ci, alice = tmp_path / "accounts", Key("ed25519"), Key("ed25519")
    accounts.mkdir()
    allow(accounts, "alice", alice)
    allow(accounts, "alice", ci, user="ci")
    (tmp_path / "alice").write_bytes(alice.pem())
    with running("--accounts", str(accounts)) as reflector:
        yield Runner(tmp_path, ci, reflector.url)


def expanded(value: str, environ: dict[str, str]) -> str:
    """A variable's value, expanded as GitLab does."""
    return re.sub(r"\$\$|\$(\w+)", lambda m: environ.get(m.group(1), "") if m.group(1) else "$", value)


def test_github(runner: Runner) -> None:
    job: dict[str, Any] = yaml.safe_load(RECIPES[0])["jobs"]["test"]
    _checkout, prepare, test = job["steps"]
    runner.environ["RUNNER_TEMP"] = str(runner.place / "temp")
    secret = prepare["env"]["MEDUSA_CI_KEY"].replace("${{ secrets.MEDUSA_CI_KEY }}", runner.key.read_text())
    runner.step(prepare["run"], {"MEDUSA_CI_KEY": secret})
    assert (runner.place / "temp/id_ci").stat().st_mode & 0o777 == 0o600
    runner.check_failure_and_session(test["run"], test["env"], sessions=2)


def test_gitlab(runner: Runner) -> None:
    job: dict[str, Any] = yaml.safe_load(RECIPES[1])["test"]
    runner.environ["MEDUSA_CI_KEY"] = str(runner.key)
    variables = {name: expanded(value, runner.environ) for name, value in job["variables"].items()}
    *prepare, test = (line.replace("/tmp/", f"{runner.place}/temp/") for line in job["script"])
    for line in prepare:
        runner.step(line, {})
    runner.check_failure_and_session(test, variables)

"""`medusa cp` to and from the job of a session, by the SFTP server of the node or of the agent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_sessions import environ, train
from tests.terminals import ROOT
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    with train(home):
        yield home


def copy(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medusa", "cp", *words]
    variables = {**environ(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=variables, cwd=home, capture_output=True, text=True, timeout=PATIENCE)


def test_there_and_back(home: Path) -> None:
    (home / "src" / "sub").mkdir(parents=True)
    (home / "src" / "sub" / "large").write_bytes(os.urandom(6 << 20))
    (home / "src" / "link").symlink_to("sub")
    for number in range(300):
        (home / "src" / f"{number}").write_text(str(number))
    for words in (("src", f"train:{home}/there"), (f"train:{home}/there", "back")):
        done = copy(home, "-rp", *words)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    subprocess.run(["diff", "-r", "--no-dereference", home / "src", home / "back"], check=True)


def test_what_fails_is_named(home: Path) -> None:
    (home / "here").write_text("here")
    done = copy(home, "nothing", "here", f"train:{home}")
    assert (done.returncode, done.stderr) == (1, "medusa cp: nothing: No such file or directory\n")
    done = copy(home, "here", "train:~/no/such")
    assert done.returncode == 1
    assert done.stderr.endswith("/no/such: No such file or directory\n")
    done = copy(home, "here", "there")
    assert done.returncode == 255
    assert "put SESSION: before the path" in done.stderr

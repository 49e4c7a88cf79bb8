"""`medusa exec` and `medusa ls` in a session at mlogin's own reflector: real programs, pipes, git and rsync."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_sessions import environ, train
from tests.terminals import ROOT, assert_nothing_left, find
from tests.waiting import PATIENCE, wait_until

MEDUSA = [sys.executable, "-m", "medusa"]

BYTES = random.Random(13).randbytes(1 << 20)

MANY = """
import os, sys
from medusa.client import mlogin
from medusa.client.queries import joining
from medusa.commands.own_sessions import execute
for _ in range(50):
    if (pid := os.fork()) == 0:
        os._exit(execute.main(sys.argv[1:]))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
"""
"""Fifty short commands, one after the other, by forks of a program that has loaded all modules."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home directory of a user with a session that runs."""
    home = tmp_path_factory.mktemp("home")
    with train(home):
        yield home
    assert_nothing_left(home)


def start(home: Path, *words: str) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*MEDUSA, *words], env=environ(home), cwd=ROOT, **pipes)  # type: ignore[call-overload,no-any-return]


def test_commands_side_by_side(home: Path) -> None:
    line = ("echo out; echo err >&2; exit 3", b"", 3, b"out\n", b"err\n")
    exact = ("printf %s| a b * $HOME", b"", 0, b"a|b|*|$HOME|", b"")
    variables = ("echo $A $PWD", b"", 0, b"1 /\n", b"")
    through = ("cat", BYTES, 0, BYTES, b"")
    cases = [line, exact, variables, through]
    words = [[line[0]], exact[0].split(), [variables[0]], [through[0]]]
    runs = [start(home, "exec", "train", "--env", "A=1", "--cwd", "/", "--", *word) for word in words]
    shell = start(home, "exec", "train")
    for run, (_, typed, *expected) in zip(runs, cases, strict=True):
        out, err = run.communicate(typed, timeout=PATIENCE)
        assert [run.returncode, out, err] == expected
    assert shell.communicate(b"echo in a shell; exit 4", timeout=PATIENCE) == (b"in a shell\n", b"")
    assert shell.returncode == 4


def test_it_is_listed(home: Path) -> None:
    out, err = start(home, "ls").communicate(timeout=PATIENCE)
    assert err == b""
    (_, row) = out.decode().splitlines()
    assert re.fullmatch(r"train  [0-9a-f]{4}  local job \d+ on \S+ +linked +\S+ +- +-", row)


def test_git_and_rsync_as_documented(home: Path, tmp_path: Path) -> None:
    section = (ROOT / "docs/commands.md").read_text().partition("## git and")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.M)
    wrapper, commands = (re.sub("^    ", "", block, flags=re.M) for block in blocks)
    (tmp_path / "in-job").write_text(wrapper)
    (tmp_path / "in-job").chmod(0o755)
    program = tmp_path / "bin" / "medusa"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m medusa "$@"\n')
    program.chmod(0o755)
    environment = {**environ(home), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    source, run = tmp_path / "job" / "src" / "project", tmp_path / "job" / "run"
    run.mkdir(parents=True)
    for name in ("a file", "b"):
        (run / name).write_bytes(BYTES[:70000])
    subprocess.run(["git", "init", "-q", source], check=True)
    commit = ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "one"]
    subprocess.run(["git", "-C", source, *commit], check=True)
    script = commands.replace("train:", f"train:{tmp_path}/job/")
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environment, check=True, timeout=2 * PATIENCE)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == {
        path.name: path.read_bytes() for path in run.iterdir()
    }
    log = subprocess.run(["git", "-C", "project", "log", "--format=%s"], cwd=tmp_path, capture_output=True, check=True)
    assert log.stdout == b"one\n"


def test_many_commands_leave_nothing(home: Path) -> None:
    others = [find(home, "agent.sh --config"), find(home, "medusa reflector")]

    def held() -> list[int]:
        found = []
        for pid in others:
            found.append(len(os.listdir(f"/proc/{pid}/fd")))
            found.append(len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        return found

    before = held()  # may still count what the tests above leave for a moment
    many = [sys.executable, "-c", MANY, "train", "-n", "--", "exit 7"]
    subprocess.run(many, env=environ(home), cwd=ROOT, check=True, timeout=3 * PATIENCE)
    wait_until(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)),
        "that agent and reflector have let go",
    )


def test_the_end_of_the_session(tmp_path: Path) -> None:
    with train(tmp_path) as first:
        run = start(tmp_path, "exec", "train", "-n", "--", "echo ready; exec sleep 1000")
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        assert first.stdin is not None
        first.stdin.close()
        assert b"outcome unknown" in run.communicate(timeout=PATIENCE)[1]
        assert run.returncode == 254
    late = start(tmp_path, "exec", "train", "--", "true")
    assert b"no session of mlogin on this machine" in late.communicate(timeout=PATIENCE)[1]
    assert late.returncode == 255
    assert_nothing_left(tmp_path)

"""mlogin TARGET: a session by the beginning of its id."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.agents import job_environ, launched
from tests.peers import upgrade
from tests.reflectors import Reflector, new_id
from tests.terminals import MLOGIN, ROOT, environment, run_alone


def mlogin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_alone([*MLOGIN, *arguments], environment(home))


@pytest.mark.parametrize("signed", [True, False])
def test_a_session_whose_agent_waits(door: Reflector, key_file: Path, home: Path, signed: bool) -> None:
    session = new_id()
    url, who = f"{door.url}/attach/{session}/slave", ["-a", ""]
    if signed:
        who = ["-a", "jill", "-k", str(key_file)]
        sign = [sys.executable, "-m", "medusa", "sign-url", *who, "-u", door.url, session]
        url = subprocess.run(sign, env=environment(home), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with launched(["sh", find_archive()], job_environ(MEDUSA_SIGNED_URL=url.strip(), TMPDIR=str(home))) as job:
        job.logged(": connected")
        run = mlogin(home, session[:13].upper(), "--reflector", door.url, *who, "-c", "exit 7")
        assert run.returncode == 7, run.stderr
        assert f"session {session}" in run.stderr
        assert job.finish()[0] == 0
    assert door.ended(session)["outcome"] == "completed"


def test_several_sessions_that_begin_so(door: Reflector, home: Path) -> None:
    for session in ("step-1", "step-2"):
        assert door.ask(upgrade(f"/attach/{session}/slave")).status == 404
    run = mlogin(home, "step", "--reflector", door.url, "-a", "")
    assert run.returncode == 255
    lines = run.stderr.splitlines()
    assert "2 sessions begin with `step`" in lines[0]
    assert [line.split()[1:3] for line in lines[1:3]] == [["step-1", "held"], ["step-2", "held"]]


def test_no_session_that_begins_so(door: Reflector, home: Path) -> None:
    run = mlogin(home, "nobody", "--reflector", door.url, "-a", "")
    assert run.returncode == 255
    assert f"no session at {door.url} has an id that begins with `nobody`, and there is no profile" in run.stderr

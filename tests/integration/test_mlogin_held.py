"""mlogin --session: into a session whose agent somebody else starts, at a front door and at an internal one."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from medusa.client.archive import find_archive
from tests.agents import Agent, job_environ, launched
from tests.reflectors import Reflector, new_id
from tests.terminals import MLOGIN, ROOT, environment, run_alone, terminal
from tests.waiting import wait_until

PROMPT = r"#\x1b\[0m "


def mlogin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_alone([*MLOGIN, *arguments], environment(home))


def agent(home: Path, url: str) -> AbstractContextManager[Agent]:
    """The archive, with the URL where process lists do not show it."""
    return launched(["sh", find_archive()], job_environ(MEDUSA_SIGNED_URL=url, TMPDIR=str(home)))


def test_an_agent_that_was_there_before(door: Reflector, home: Path) -> None:
    session = new_id()
    with agent(home, f"{door.url}/attach/{session}/slave") as job:
        job.logged(": connected")
        run = mlogin(home, "--session", session.upper(), "--reflector", door.url, "-c", "exit 7")
        assert run.returncode == 7, run.stderr
        assert job.finish()[0] == 0
    assert door.ended(session)["outcome"] == "completed"


def test_an_agent_that_comes_later_by_a_url_signed_beforehand(door: Reflector, key_file: Path, home: Path) -> None:
    session, who = new_id(), ["-a", "jill", "-k", str(key_file)]
    sign = [sys.executable, "-m", "medusa", "sign-url", *who, "-u", door.url, session]
    url = subprocess.run(sign, env=environment(home), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    arguments = ["--session", session, "--reflector", door.url, *who]
    with terminal([*MLOGIN, *arguments], environment(home)) as opened:
        opened.until("waiting for an agent that is started elsewhere: not here yet")
        wait_until(lambda: door.states().get(session) == "slave_wait")
        with agent(home, url.strip()) as job:
            opened.until(PROMPT)
            opened.type("~i")
            opened.until(f"session    {session}\r\n")
            opened.until("job        an agent that is started elsewhere: running")
            opened.type("\rexit 3\r")
            assert opened.status() == 3
            assert job.finish()[0] == 0


def test_nobody_comes(door: Reflector, home: Path) -> None:
    session = new_id()
    run = mlogin(home, "-q", "--session", session, "--reflector", door.url, "--wait-timeout", "0.1")
    assert run.returncode == 255
    first, hint = run.stderr.splitlines()
    assert re.match(r"mlogin: no agent after \d s \(an agent that is started elsewhere: not here yet\)", first)
    assert "does it dial this reflector" in hint


def test_a_session_without_a_reflector_is_refused_at_once(home: Path) -> None:
    run = mlogin(home, "--session", "4711")
    assert run.returncode == 255
    assert "--session ID needs --reflector URL: the one that the session's agent dials" in run.stderr

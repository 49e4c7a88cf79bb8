"""The archive with its own Python, on a machine without one. test_both.py has the tests of both archives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from medusa.protocol.control import Exit, Start
from tests.agents import Reflector, job_environ, launched, wait_until_session_is_gone, write_config
from tests.archive.test_run import NO_CONFIG, SHELLS, run
from tests.waiting import wait_until

MAX_SIZE = 15 << 20


def environ_in(temporary: Path, **more: str) -> dict[str, str]:
    """Without any other Python."""
    return job_environ(TMPDIR=str(temporary), MEDUSA_PYTHON="/no/such/python", **more)


# ------------------------------------------------------------------ what is made


def test_it_is_small_and_holds_the_files_of_the_ordinary_one(standalone: Path, archive: Path, tmp_path: Path) -> None:
    assert standalone.stat().st_size < MAX_SIZE
    for name, path in (("a", standalone), ("b", archive)):
        assert run(["sh", path, "--extract", tmp_path / name], job_environ()).returncode == 0
    ours, theirs = (
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "a", tmp_path / "b")
    )
    assert sorted(ours) == run(["sh", standalone, "--list"], job_environ()).stdout.splitlines()
    assert b"PYTHON SOFTWARE FOUNDATION" in ours["licences/Python"]
    assert "licences/libcrypto.so.3" in ours
    assert {name: data for name, data in ours.items() if not name.startswith("licences/")} == theirs


# ------------------------------------------------------------------ the environment


@pytest.mark.parametrize("libraries", [{}, {"LD_LIBRARY_PATH": ""}, {"LD_LIBRARY_PATH": "/a b:/c"}])
def test_a_session_has_the_environment_of_the_job(
    standalone: Path, tmp_path: Path, temporary: Path, reflector: Reflector, libraries: dict[str, str]
) -> None:
    environ = environ_in(temporary, medusa="mine", name="mine", **libraries)
    config = write_config(tmp_path, reflector.url)
    with launched(["sh", standalone, "--config", config], environ) as agent:
        client = reflector.accept()
        shell = client.start(Start(command="/usr/bin/env", arguments=("-0",))).pid
        assert client.outcome() == Exit(status=0)
        client.link.close()
        agent.finish()
        wait_until_session_is_gone(shell)
    found = dict(line.split("=", 1) for line in client.output.decode().strip("\0").split("\0"))
    expected = {name: value for name, value in environ.items() if not name.startswith("MEDUSA_")}
    assert {name: found.get(name) for name in expected} == expected
    assert not [
        name for name in found if name.startswith(("_PYI", "MEDUSA", "LD_", "medusa_")) and name not in expected
    ]


# ------------------------------------------------------------------ the directory


@pytest.mark.parametrize("name", SHELLS)
def test_kill_9_leaves_nothing(name: str, standalone: Path, tmp_path: Path, temporary: Path) -> None:
    """SIGKILL while it unpacks, to its process only: the other process removes the directory."""
    tools, gate, reached = tmp_path / "tools", tmp_path / "gate", tmp_path / "reached"
    os.mkfifo(gate)
    tools.mkdir()
    gzip = f"#!/bin/sh\n: >'{reached}'\nread x <'{gate}'\nexec {shutil.which('gzip')} \"$@\"\n"
    (tools / "gzip").write_text(gzip)
    (tools / "gzip").chmod(0o755)
    environ = environ_in(temporary, PATH=f"{tools}:{os.environ['PATH']}")
    with subprocess.Popen([*name.split(), standalone], env=environ) as process:
        wait_until(reached.exists)
        assert len(list(temporary.iterdir())) == 1
        process.kill()
        process.wait()
        gate.write_text("")
    wait_until(lambda: list(temporary.iterdir()) == [])


def test_without_mkfifo(standalone: Path, tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "mkfifo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "mkfifo").chmod(0o755)
    done = run(["sh", standalone], environ_in(temporary, PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert done.stderr.startswith(NO_CONFIG)
    assert list(temporary.iterdir()) == []


def test_the_directory_is_gone_and_every_module_loaded_before_the_agent_dials(
    standalone: Path, tmp_path: Path, temporary: Path
) -> None:
    """Name look-up, TLS, a refusal and the end of the interpreter import nothing more."""
    config = write_config(tmp_path, "https://xn--nothing-here-.invalid/", insecure_tls=True)
    with launched(["sh", standalone, "--config", config, "--retry-for", "0"], environ_in(temporary)) as agent:
        agent.logged("connecting")
        assert list(temporary.iterdir()) == []
        status, log = agent.finish()
    assert (status, "Traceback" in log) == (3, False)
    assert re.search("not connected: .*invalid", log)


# ------------------------------------------------------------------ a step


def test_a_step(standalone: Path, temporary: Path) -> None:
    step = ["sh", "-c", "env | grep -c 'LD_LIBRARY\\|_PYI\\|MEDUSA'; exit 4"]
    done = run(
        ["sh", standalone, "wrap", "--hold", "0", "--reflector", "http://127.0.0.1:1", "--", *step],
        environ_in(temporary),
    )
    assert (done.returncode, done.stdout) == (4, "0\n")


@pytest.mark.parametrize("name", SHELLS)
def test_a_step_runs_alone_if_its_python_does_not_run(
    name: str, standalone: Path, tmp_path: Path, temporary: Path
) -> None:
    path = tmp_path / "agent.sh"
    machine = os.uname().machine.encode()
    path.write_bytes(standalone.read_bytes().replace(b"'%s')" % machine, b"'another')", 1))
    words = ["it's", "a  b", "two\nlines\n", "", "$x"]
    step = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(5)", *words]
    done = run([*name.split(), path, "wrap", "--", *step], environ_in(temporary, MEDUSA_SIGNED_URL="https://h/"))
    assert (done.returncode, done.stdout) == (5, f"{words}\n")
    assert "its Python is for" in done.stderr

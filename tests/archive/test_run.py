"""The archive, run by shells and Pythons: what it leaves and what it logs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from medusa import __version__
from medusa.protocol.control import Exit, Start
from tests.agents import ROOT, SECRET, Reflector, job_environ, launched, wait_until_session_is_gone, write_config
from tests.waiting import PATIENCE, wait_until


def runs(python: str) -> bool:
    """A command that exists may still be a stand-in for a Python that is not installed."""
    return shutil.which(python) is not None and subprocess.run([python, "-V"], capture_output=True).returncode == 0


SHELLS = ["dash", "bash", "busybox ash", *filter(shutil.which, ("mksh", "ksh93", "zsh"))]
PYTHONS = [sys.executable, "pypy3", *filter(runs, ("python3.8", "python3.9", "python3.12", "python3.13", "python3.14"))]
"""The first two are always there; the others are used if they are installed."""

NO_CONFIG = "medusa agent: no configuration"


def environ_in(temporary: Path, **more: str) -> dict[str, str]:
    return job_environ(TMPDIR=str(temporary), MEDUSA_PYTHON=sys.executable, **more)


def run(command: list[str | Path], environ: dict[str, str], **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [str(word) for word in command], env=environ, capture_output=True, text=True, timeout=PATIENCE, **more
    )


def test_it_is_a_program(archive: Path, temporary: Path) -> None:
    assert run([archive], environ_in(temporary)).returncode == 2
    done = run(["agent.sh"], environ_in(temporary, PATH=f"{archive.parent}:{os.environ['PATH']}"))
    assert done.stderr.startswith(NO_CONFIG)


def test_version_needs_no_python(archive: Path) -> None:
    assert run(["/bin/sh", archive, "--version"], {"PATH": "/nowhere"}).stdout == f"medusa agent {__version__}\n"


@pytest.mark.parametrize(("more", "why"), [("http://top-secret", "more than one URL"), ("--config=/c", "give one")])
def test_second_url_is_refused(archive: Path, temporary: Path, more: str, why: str) -> None:
    done = run(["sh", archive, "http://top-secret", more], environ_in(temporary))
    assert done.returncode == 2
    assert why in done.stderr
    assert "top-secret" not in done.stderr


# ------------------------------------------------------------------ which Python


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_chosen_python_is_not_silently_replaced(archive: Path, temporary: Path, python: str) -> None:
    done = run(["sh", archive], {**environ_in(temporary), "MEDUSA_PYTHON": python})
    assert done.returncode == 127
    assert "(MEDUSA_PYTHON)" in done.stderr


def test_only_a_chosen_python_is_used_without_a_try(archive: Path, tmp_path: Path, temporary: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 9\n")
    broken.chmod(0o755)
    (tmp_path / "python3.14").symlink_to(sys.executable)
    environ = {"TMPDIR": str(temporary), "PATH": str(tmp_path), "MEDUSA_RUNS": "1"}
    done = run(["/bin/sh", archive, "--list"], environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(["/bin/sh", archive, "--list"], {**environ, "MEDUSA_PYTHON": str(broken)}).returncode == 9


# ------------------------------------------------------------------ memory


def test_traceback_of_the_agent_has_its_lines(archive: Path, tmp_path: Path, temporary: Path) -> None:
    """Python by itself shows source lines of files only. The agent fails here for want of descriptors."""
    python = tmp_path / "a python"
    python.write_text(f'#!/bin/sh\nulimit -n 5; exec "{sys.executable}" "$@"')
    python.chmod(0o755)
    done = run(["sh", archive], environ_in(temporary) | {"MEDUSA_PYTHON": str(python)})
    assert done.returncode == 1
    shown = re.search(r'File "agent\.sh/agent/__main__\.py", line (\d+), in main\n(.*)\n', done.stderr)
    assert shown, done.stderr
    source = (ROOT / "agent" / "__main__.py").read_text().splitlines()
    assert shown[2].replace(" ", "") == source[int(shown[1]) - 1].replace(" ", "")


def test_payload_of_a_piped_archive_is_checked_too(archive: Path, tmp_path: Path, temporary: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[data.index(b'PAYLOAD="""') + 1000] ^= 1
    path = tmp_path / "agent.sh"
    path.write_bytes(data)
    with path.open() as file:
        done = run(["sh"], environ_in(temporary), stdin=file)
    assert (done.returncode, done.stderr) == (126, "medusa agent: the payload is damaged\n")


# ------------------------------------------------------------------ sessions


def hold_session(reflector: Reflector, command: list[str | Path], environ: dict[str, str]) -> None:
    """A whole session: size, umask, a URL that no process list shows, exit status, no zombie, nothing left."""
    with launched(command, environ) as agent:
        client = reflector.accept()
        shell = client.start(Start(command="/bin/bash", arguments=("--norc", "--noediting"), columns=99, lines=9)).pid
        assert client.ask("stty size") == b"9 99\r\n"
        assert client.ask("umask") == b"0027\r\n"
        assert client.ask("env | grep -c MEDUSA") == b"0\r\n"
        assert b":%d/" % reflector.port not in client.ask("cat /proc/[0-9]*/cmdline")
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == 2, "guard and shell alone")
        client.type("exit 5\n")
        assert client.outcome() == Exit(status=5)
        client.link.close()
        status, log = agent.finish()
        assert (status, log.count("ended: status 5"), SECRET in log) == (0, 1, False), log
        wait_until_session_is_gone(shell)


@pytest.mark.parametrize("python", PYTHONS)
def test_session_by_every_python(
    archive: Path, tmp_path: Path, temporary: Path, reflector: Reflector, python: str
) -> None:
    config = write_config(tmp_path, reflector.url)
    environ = {**environ_in(temporary), "MEDUSA_PYTHON": python, "MEDUSA_AGENT_CONFIG": str(config)}
    hold_session(reflector, ["bash", "-c", f"umask 027; exec bash '{archive}'"], environ)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_session_cannot_read_the_url_in_the_agents_proc(archive: Path, reflector: Reflector, shell: str) -> None:
    """Neither as a variable, nor as an argument, nor in the script that the shell has read from a file."""
    settings = f"MEDUSA_SIGNED_URL='{reflector.url}'; export MEDUSA_SIGNED_URL\n".encode()
    with tempfile.TemporaryFile() as script:
        script.write(settings + archive.read_bytes())
        script.seek(0)
        command = [*shell.split(), "-s"]
        environ = job_environ(MEDUSA_PYTHON=sys.executable)
        with subprocess.Popen(command, stdin=script, stderr=subprocess.DEVNULL, env=environ) as agent:
            client = reflector.accept()
            client.run("cd /proc/$PPID; cat environ cmdline; cat fd/0")
            assert client.outcome() == Exit(status=0)
            client.link.close()
            assert agent.wait(PATIENCE) == 0
    assert b"MEDUSA_BOOT" in client.output
    assert SECRET.encode() not in client.output

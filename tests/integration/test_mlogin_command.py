"""mlogin without a terminal, or for one command: pipes, bulk, failures, its own reflector and others'."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminals import MLOGIN, ROOT, environment, find, other_reflector, terminal
from tests.waiting import PATIENCE

PYTHON = "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())'"
FETCHES = ["curl -fsS", "wget -qO-", PYTHON]
"""What docs/launchers.md says to fetch the archive by."""


@pytest.fixture
def url() -> Iterator[str]:
    """A reflector that is not mlogin's own."""
    with other_reflector() as url:
        yield url


def mlogin(home: Path, *arguments: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MLOGIN, *arguments], input=typed, capture_output=True, env=environment(home), cwd=ROOT, timeout=6 * PATIENCE
    )


def stub(tmp_path: Path, script: str) -> str:
    """An archive that is only this shell script."""
    archive = tmp_path / "stub.sh"
    archive.write_text(script)
    return str(archive)


@pytest.mark.parametrize("fetch", FETCHES)
def test_a_job_that_the_user_starts(home: Path, url: str, fetch: str) -> None:
    if not shutil.which(fetch.split()[0]):
        pytest.skip(f"needs {fetch.split()[0]}")
    arguments = [*MLOGIN, "--reflector", url, "--launcher", "manual", "-c", "echo from $PWD; exit 7"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, env=environment(home), cwd=ROOT, **streams) as process:  # type: ignore[call-overload]
        assert process.stderr is not None
        line = (
            next(line for line in process.stderr if line.startswith(b'echo "curl '))
            .decode()
            .replace("curl -fsS", fetch)
        )
        job = subprocess.run(["sh", "-c", line], env=environment(home), cwd=home, capture_output=True, timeout=PATIENCE)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (7, f"from {home}\n".encode())
    assert b"session complete" in err
    assert job.returncode == 0


def test_what_fetches_the_archive_is_documented() -> None:
    text = (ROOT / "docs/launchers.md").read_text()
    assert all(fetch + " https://" in text for fetch in FETCHES)


def test_a_command_its_output_and_its_status(home: Path) -> None:
    run = mlogin(home, "-c", "echo out; echo err >&2; exit 7")
    assert (run.returncode, run.stdout) == (7, b"out\n")
    told_when_slow = rb"(mlogin: (starting|connecting) .*\n)*"
    told_unless_the_agent_came_first = rb"(mlogin: waiting for local job \d+: running\n)?"
    told = rb"err\nmlogin: session complete\n"
    assert re.fullmatch(told_when_slow + told_unless_the_agent_came_first + told, run.stderr)


def test_in_a_terminal_of_its_own_the_pipes_are_warned_of(home: Path) -> None:
    run = mlogin(home, "-t", "-c", "echo out; echo err >&2; exit 7")
    assert (run.returncode, run.stdout) == (7, b"out\r\nerr\r\n")
    assert b"mlogin: standard input and standard output are no terminals, but " in run.stderr


def test_without_input_only_the_output_is_warned_of(home: Path) -> None:
    run = mlogin(home, "-t", "-n", "-c", "cat; echo end", typed=b"not read")
    assert (run.returncode, run.stdout) == (0, b"end\r\n")
    assert b"mlogin: standard output is no terminal, but the job writes to one: binary data is changed\n" in run.stderr


def test_quiet(home: Path) -> None:
    run = mlogin(home, "-q", "-c", "echo out; kill -9 $$")
    assert (run.returncode, run.stdout, run.stderr) == (137, b"out\n", b"")


def test_piped_input_comes_in_and_ends(home: Path) -> None:
    run = mlogin(home, "-q", "-c", "cat; echo end", typed="~.\nlöst\0\4\nno newline".encode())
    assert (run.returncode, run.stdout) == (0, "~.\nlöst\0\4\nno newlineend\n".encode())


def test_piped_input_of_a_terminal_comes_in_and_ends(home: Path) -> None:
    run = mlogin(home, "-t", "-q", "-c", "stty -echo; cat; echo end", typed="~.\nlöst\nno newline".encode())
    assert run.returncode == 0
    assert run.stdout.endswith("~.\r\nlöst\r\nno newlineend\r\n".encode())


def test_piped_input_without_a_command_runs_a_shell_that_says_nothing(home: Path) -> None:
    run = mlogin(home, "-q", typed=b"echo $((6 * 7)); tty; exit 3")
    assert (run.returncode, run.stdout, run.stderr) == (3, b"42\nnot a tty\n", b"")


def test_escapes_in_piped_input_only_when_asked_for(home: Path) -> None:
    run = mlogin(home, "-t", "-q", "-e", "%", "-c", "sleep 1000", typed=b"%.")
    assert run.returncode == 254
    assert run.stderr == b"mlogin: disconnected; outcome unknown\n"


def test_shared_descriptors_keep_their_flags(home: Path) -> None:
    """Non-blocking mode belongs to all who share a pipe or terminal; a shell would inherit it."""
    ends = [*os.pipe(), *os.pipe()]
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in ends]
    argv = [*MLOGIN, "-q", "-c", "echo on; sleep 1000"]
    with subprocess.Popen(
        argv, stdin=ends[0], stdout=ends[3], stderr=ends[3], env=environment(home), cwd=ROOT
    ) as process:
        find(home, "^sleep 1000")
        during = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in ends]
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM  # which was passed on
    assert during == before
    for fd in ends:
        os.close(fd)


def test_a_job_that_fails_at_once(home: Path, tmp_path: Path) -> None:
    run = mlogin(home, "--archive", stub(tmp_path, "echo no python here >&2; exit 127"))
    assert run.returncode == 255
    assert re.search(
        rb"local job \d+ ended with status 127 before its agent appeared\nmlogin:   no python here\n", run.stderr
    )


def test_control_c_while_waiting(home: Path, tmp_path: Path) -> None:
    with terminal([*MLOGIN, "--archive", stub(tmp_path, "exec sleep 1000")], environment(home)) as opened:
        opened.until("waiting for local job")
        opened.type(b"\x03")
        assert opened.status() == 130
        # The spinner is wiped off. The echo of ^C comes before, between or behind that.
        assert opened.screen.replace(b"^C", b"").endswith(b"\r\x1b[Kmlogin: ended by SIGINT\r\n")
        assert opened.modes() == opened.modes_at_start


def test_a_reflector_that_is_not_there(home: Path) -> None:
    run = mlogin(home, "-q", "--reflector", "http://127.0.0.1:1")
    assert run.returncode == 255
    assert re.fullmatch(
        rb"mlogin: cannot attach to http://127\.0\.0\.1:1: .*refused\nmlogin:   check the address, .*\n", run.stderr
    )


def test_the_end_of_our_own_reflector_is_told(home: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [*MLOGIN, "-q", "-n", "-c", "echo ready; sleep 1000"]
    with subprocess.Popen(command, env=environment(home), cwd=ROOT, **pipes) as run:  # type: ignore[call-overload]
        assert run.stdout.readline() == b"ready\n"
        os.kill(find(home, "reflector --port 0"), signal.SIGKILL)
        out, err = run.communicate(timeout=2 * PATIENCE)
    first, *_, last = err.decode().splitlines()
    assert (run.returncode, out) == (254, b"")
    assert first == "mlogin: mlogin's own reflector has been killed by SIGKILL"
    assert last.endswith("; outcome unknown")


def test_the_environments_proxy_is_not_asked_for_our_own_reflector(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert mlogin(home, "-q", "-c", "exit 3").returncode == 3


def test_signals_ignored_by_the_caller_work_in_the_job(home: Path) -> None:
    """As under nohup, or in a script's background: the remote shell must not inherit that."""
    argv = ["sh", "-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh", *MLOGIN, "-c", "sleep 1000; echo $?"]
    with terminal(argv, environment(home)) as opened:
        find(home, "^sleep 1000")
        opened.type(b"\x03")
        assert opened.status() == 130

"""A reflector whose standard streams are closed, full, or lead to nobody; and what it tells a service manager."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reflectors import ROOT, command, running
from tests.waiting import PATIENCE, wait_until

NO_PIPE = "sleep 0"
"""A program that reads nothing and ends."""

CASES = [("2>&-", 1), (">/dev/full", 1), (f"| {NO_PIPE}", 1), (f"2> >({NO_PIPE})", 1), ("<&- >&- 2>&-", 2)]


@contextlib.contextmanager
def started(redirection: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A reflector whose streams the shell redirects, and its process id."""
    line = f'{{ echo $BASHPID >&9; exec "$@"; }} {redirection}'
    reader, writer = os.pipe()
    with open(reader) as pids:
        program = ["bash", "-c", f"exec 9>&{writer}; {line}", "bash", *command(arguments)]
        process = subprocess.Popen(
            program,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[writer],
        )
        os.close(writer)
        pid = int(pids.readline())
        try:
            yield process, pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            process.kill()
            process.communicate()


def port_of(pid: int) -> int:
    """The port that a process listens on; 0 if there is none yet."""
    try:
        inodes = {os.readlink(link)[8:-1] for link in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:
        return 0
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next((int(line[1].split(":")[1], 16) for line in lines if line[3] == "0A" and line[9] in inodes), 0)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize(("redirection", "workers"), CASES)
def test_it_works(redirection: str, workers: int) -> None:
    with started(redirection, "--port", "0", "--workers", str(workers)) as (process, pid):
        port = wait_until(lambda: port_of(pid), "a listening socket")
        wait_until(lambda: answers(port), "an answer")
        os.kill(pid, signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert b"Traceback" not in out + err
        assert process.returncode == 0


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_it_says_elsewhere_why_it_does_not_start(redirection: str) -> None:
    with started(redirection, "--tls-cert", "nowhere") as (process, _):
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (1, b"")
    assert out == b"medusa reflector: tls-key: missing; --tls-cert does nothing without it\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_systemd_is_told(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")  # nobody reads before it serves, and ten messages fill the queue
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)

        def told(besides: bytes = b"") -> bytes:
            """The next message; signs of life are passed over, unless they are what is waited for."""
            while (message := manager.recv(100)) == b"WATCHDOG=1" != besides:
                pass
            return message

        with running("--workers", str(workers)) as reflector:
            assert told() == b"READY=1"
            assert told(b"WATCHDOG=1") == b"WATCHDOG=1"
            reflector.signal(signal.SIGHUP)
            assert told().startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert told() == b"READY=1"
            reflector.signal(signal.SIGTERM)
            assert told() == b"STOPPING=1"
            assert reflector.process.wait(PATIENCE) == 0

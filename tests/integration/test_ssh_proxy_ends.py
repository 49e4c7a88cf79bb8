"""How ssh through `medusa ssh-proxy` ends: as with an sshd, and with the reason if the session is over."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_sessions import environ, train
from tests.sshclients import MEDUSA, Ssh
from tests.terminals import processes_of
from tests.waiting import PATIENCE, wait_until

HOST = "train.medusa"
Session = tuple[Ssh, "subprocess.Popen[bytes]"]


@pytest.fixture
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """ssh for a session, and the mlogin that runs the session."""
    home = tmp_path_factory.mktemp("home")
    with train(home) as mlogin:
        yield Ssh(tmp_path_factory.mktemp("s"), environ(home), "train"), mlogin
    wait_until(lambda: not processes_of(home), "all processes to end")


def test_a_command_ends_if_nobody_reads_its_output(session: Session) -> None:
    ssh, _ = session
    with ssh.start(HOST, "yes") as run:
        assert run.stdout is not None
        assert run.stdout.read(2) == b"y\n"
        run.stdout.close()
        assert run.wait(PATIENCE) == 255


FLIP = """
import os, subprocess, sys
proxy = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)
at = int(sys.argv[1])
while data := bytearray(os.read(0, 1 << 16)):
    if 0 <= at < len(data):
        data[at] ^= 1
    at -= len(data)
    try:
        proxy.stdin.write(data)
        proxy.stdin.flush()
    except BrokenPipeError:
        break
"""


def test_a_packet_that_was_changed_on_the_way_ends_the_connection(session: Session, tmp_path: Path) -> None:
    ssh, _ = session
    (tmp_path / "flip").write_text(FLIP)
    command = shlex.join([sys.executable, str(tmp_path / "flip"), "50000", *MEDUSA, "ssh-proxy", "train"])
    status, _, err = ssh.run("-o", f"ProxyCommand={command}", HOST, "cat >/dev/null", typed=bytes(200_000))
    assert (status, b"breaks the rules of SSH, or has failed: MAC verification failed" in err) == (255, True), err


def test_a_client_that_does_not_read_delays_no_other(session: Session) -> None:
    ssh, _ = session
    with ssh.master(HOST), ssh.start(*ssh.shared(HOST, "exec yes")) as deaf:
        assert deaf.stdout is not None
        assert deaf.stdout.read(2) == b"y\n"
        assert ssh.run(*ssh.shared(HOST, "echo beside")) == (0, b"beside\n", b"")
        deaf.kill()


@pytest.mark.parametrize("killed", ["the job", "mlogin"])
def test_the_end_of_a_session_is_told(session: Session, killed: str) -> None:
    ssh, mlogin = session
    with ssh.start("-M", "-N", *ssh.shared(HOST)) as idle:
        wait_until(ssh.socket.exists, "the connection")
        with ssh.start(*ssh.shared(HOST, "echo $PPID; exec sleep 1000")) as run:
            assert run.stdout is not None
            agent = int(run.stdout.readline())
            os.kill(agent if killed == "the job" else mlogin.pid, signal.SIGKILL)
            for each, words in ((run, b"medusa: "), (idle, b"Received disconnect")):
                out, err = each.communicate(timeout=2 * PATIENCE)
                assert (each.returncode, out, words in err) == (255, b"", True), err


@pytest.mark.parametrize("terminal", ["-T", "-tt"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_ssh_ends_what_it_ran(session: Session, terminal: str, number: int) -> None:
    ssh, _ = session
    there = ssh.place / "listens"
    with ssh.start(terminal, "-R", f"{there}:127.0.0.1:9", HOST, "echo $$; exec sleep 1000") as run:
        assert run.stdout is not None
        command = Path("/proc", run.stdout.readline().decode().strip())
        assert command.exists()
        wait_until(there.exists, "the listener")
        run.send_signal(number)
        run.communicate(timeout=PATIENCE)
    wait_until(lambda: not command.exists(), "the end of the command")
    wait_until(lambda: not there.exists(), "the end of the listener")

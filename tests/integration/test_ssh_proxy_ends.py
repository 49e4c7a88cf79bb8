"""How ssh through `medusa ssh-proxy` ends: as with an sshd, and with the reason if the session is over."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.own_sessions import environ, train
from tests.sshclients import Ssh
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


@pytest.mark.parametrize("killed", ["the job", "mlogin"])
def test_the_end_of_a_session_is_told(session: Session, killed: str) -> None:
    ssh, mlogin = session
    with ssh.start("-M", "-N", *ssh.shared(HOST)) as idle:
        wait_until(ssh.socket.exists, "the connection")
        with ssh.start(*ssh.shared(HOST, "echo $PPID; exec sleep 1000")) as run:
            assert run.stdout is not None
            os.kill(int(run.stdout.readline()) if killed == "the job" else mlogin.pid, signal.SIGKILL)
            for each, words in ((run, b"medusa: "), (idle, b"Received disconnect")):
                out, err = each.communicate(timeout=2 * PATIENCE)
                assert (each.returncode, out, words in err) == (255, b"", True), err

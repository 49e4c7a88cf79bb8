"""How ssh through `medusa ssh-proxy` ends: as with an sshd, and with the reason if the session is over."""

from __future__ import annotations

import contextlib
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
from tests.terminals import find, processes_of
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


@contextlib.contextmanager
def running(ssh: Ssh, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A command by ssh that runs until it is ended: yields ssh, the agent's pid, and the command in /proc."""
    with ssh.start(*words, HOST, "echo $PPID $$; exec sleep 1000") as run:
        try:
            assert run.stdout is not None
            agent, command = map(int, run.stdout.readline().split())
            yield run, agent, Path("/proc", str(command))
        finally:
            run.kill()


def kill_proxy(run: subprocess.Popen[bytes], home: Path) -> None:
    """Kills the only ssh-proxy. Its ssh ends with an error, and no process is left of both."""
    os.kill(find(home, " ssh-proxy "), signal.SIGKILL)
    out, err = run.communicate(timeout=PATIENCE)
    assert (run.returncode, out) == (255, b"")
    assert b"closed" in err or b"Broken pipe" in err
    wait_until(lambda: not [words for words in processes_of(home).values() if " ssh-proxy " in words], "its end")


@pytest.mark.parametrize("terminal", ["-T", "-tt"])
def test_a_killed_proxy_ends_its_ssh_only(session: Session, terminal: str) -> None:
    ssh, mlogin = session
    with running(ssh, terminal) as (run, _, command):
        kill_proxy(run, Path(ssh.environ["HOME"]))
        assert ssh.run(HOST, "echo again") == (0, b"again\n", b"")
        assert command.exists()  # it is kept for the time of --keep, as after a lost link
        assert mlogin.poll() is None


def test_what_a_killed_proxy_has_left_ends_after_the_keep_time(session: Session) -> None:
    ssh, mlogin = session
    home, there = Path(ssh.environ["HOME"]), ssh.place / "listens"
    ssh.config.write_text(ssh.config.read_text().replace(" ssh-proxy ", " ssh-proxy --keep 1s "))
    with running(ssh) as (_, agent, first):
        pids = [agent, find(home, " reflector ")]
    wait_until(lambda: not first.exists(), "the end of the first command")
    assert ssh.run(HOST, "true") == (0, b"", b"")
    before = [descriptors(pid) for pid in pids]
    with running(ssh, "-R", f"{there}:127.0.0.1:9") as (run, _, command):
        wait_until(there.exists, "the listener")
        assert [descriptors(pid) for pid in pids] > before
        kill_proxy(run, home)
        wait_until(lambda: not command.exists(), "the end of the command")
        wait_until(lambda: not there.exists(), "the end of the listener")
        wait_until(lambda: [descriptors(pid) for pid in pids] == before, "the end of all connections")
        assert ssh.run(HOST, "echo again") == (0, b"again\n", b"")
        assert mlogin.poll() is None


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))

"""`mlogin --launcher ssh` with a real sshd, with and without a forwarded port, and whatever can end it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sshds import Sshd, needs_sshd, sshd
from tests.terminals import (
    MLOGIN,
    assert_nothing_left,
    environment,
    find,
    other_reflector,
    processes_of,
    run_alone,
    terminal,
)
from tests.waiting import MS, Deadline, wait_until

pytestmark = needs_sshd
PROMPT = r"#\x1b\[0m "
SEED = 4711


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home directory whose path is short enough for ssh's socket."""
    home = tmp_path_factory.mktemp("h")
    yield home
    assert_nothing_left(home)


@pytest.fixture
def host(tmp_path: Path, home: Path) -> Iterator[Sshd]:
    with sshd(tmp_path, home) as host:
        yield host


def command(host: Sshd, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
    return [*MLOGIN, "--launcher", "ssh", "node", *arguments, "--", "-F", str(host.config), *options]


def mlogin(home: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    return run_alone(argv, environment(home))


def test_a_session_on_a_terminal(host: Sshd, home: Path) -> None:
    with terminal(command(host), environment(home)) as opened:
        opened.until(PROMPT)
        opened.type("echo $((6*7)) $SSH_CONNECTION; env | grep MEDUSA | grep -vc ^MEDUSA_TERMINAL=\r")
        opened.until(rf"42 127.0.0.1 \d+ 127.0.0.1 {host.port}\r\n0\r\n")
        opened.type("~i")
        opened.until(r"job        a job on node: running")
        assert not [line for line in processes_of(home).values() if "/attach/" in line]
        opened.type("\rexit 7\r")
        assert opened.status() == 7
        assert opened.modes() == opened.modes_at_start


def test_a_reflector_that_the_host_can_reach_needs_no_forwarding(tmp_path: Path, home: Path) -> None:
    with sshd(tmp_path, home, "DisableForwarding yes") as host, other_reflector() as url:
        run = mlogin(home, command(host, "--reflector", url, "-c", "exit 9"))
        assert run.returncode == 9, run.stderr


def test_a_host_that_refuses_forwarding(tmp_path: Path, home: Path) -> None:
    with sshd(tmp_path, home, "AllowTcpForwarding no") as host:
        run = mlogin(home, command(host))
    assert run.returncode == 255
    assert "node forwards no port to mlogin's own reflector: " in run.stderr
    assert (
        "AllowTcpForwarding yes or remote; else name a reflector that the host can reach, by --reflector" in run.stderr
    )


def test_ssh_asks_for_an_unknown_host_on_the_terminal(host: Sshd, home: Path) -> None:
    host.forget_host()
    with terminal(command(host, "-c", "exit 9"), environment(home)) as opened:
        opened.until(r"The authenticity of host '\[127.0.0.1\]:\d+.* can't be established")
        opened.until(r"continue connecting \(yes/no/\[fingerprint\]\)\? ")
        opened.type("yes\r")
        assert opened.status() == 9
        assert "[127.0.0.1]" in (host.directory / "known_hosts").read_text()


def test_ssh_asks_for_a_passphrase_on_the_terminal(host: Sshd, home: Path) -> None:
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(host.directory / "user")]
    subprocess.run(change, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with terminal(command(host, "-c", "exit 9"), environment(home)) as opened:
        opened.until("Enter passphrase for key .*: ")
        opened.type("open sesame\r")
        assert opened.status() == 9
        assert b"sesame" not in opened.screen


def test_other_options_in_the_users_configuration_do_no_harm(host: Sshd, home: Path) -> None:
    host.configure("ControlMaster auto", f"ControlPath {home}/mine", "ControlPersist 10m", "RequestTTY force")
    host.configure("RemoteCommand touch /nowhere", "LocalForward 1 127.0.0.1:1", "RemoteForward 1 127.0.0.1:1")
    host.configure("ExitOnForwardFailure yes")
    run = mlogin(home, command(host, "-c", "exit 9"))
    assert run.returncode == 9, run.stderr


def test_the_user_refuses_an_unknown_host(host: Sshd, home: Path) -> None:
    host.forget_host()
    with terminal(command(host), environment(home)) as opened:
        opened.until(r"\(yes/no/\[fingerprint\]\)\? ")
        opened.type("no\r")
        assert opened.status() == 255
        assert opened.modes() == opened.modes_at_start
        assert (host.directory / "known_hosts").read_text() == ""


def test_ssh_cannot_connect(host: Sshd, home: Path) -> None:
    run = mlogin(home, command(host, options=("-p", "1")))
    assert run.returncode == 255
    assert "port 1: Connection refused" in run.stderr
    assert "mlogin: no connection to node: ssh ended with status 255\n" in run.stderr


def test_a_host_without_python(tmp_path: Path, home: Path) -> None:
    with sshd(tmp_path, home, environ="MEDUSA_PYTHON=/nowhere/python") as host:
        run = mlogin(home, command(host))
    assert run.returncode == 255
    assert "a job on node ended with status 127 before its agent appeared" in run.stderr
    assert "medusa agent: no Python 3.8 or later" in run.stderr


@pytest.mark.parametrize("shell", ["tcsh", "fish"])
def test_other_login_shells(tmp_path: Path, home: Path, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    script = tmp_path / "login"
    script.write_text(f'#!/bin/sh\necho a word of the day\nexec {shell} -c "$SSH_ORIGINAL_COMMAND"\n')
    script.chmod(0o755)
    with sshd(tmp_path, home, f"ForceCommand {script}") as host:
        run = mlogin(home, command(host, "-c", "exit 9"))
        assert run.returncode == 9, run.stderr
        with terminal(command(host), environment(home)) as opened:
            opened.until(PROMPT)
            opened.type("~.")
            assert opened.status() == 254
            assert_nothing_left(home)


def test_a_lost_connection_ends_the_session(host: Sshd, home: Path) -> None:
    with terminal(command(host), environment(home)) as opened:
        opened.until(PROMPT)
        host.cut()
        assert opened.status() == 254
        assert opened.modes() == opened.modes_at_start
        assert b"outcome unknown" in opened.screen
        assert b"a job on node ended with status 255" in opened.screen


def test_sigkill_in_a_session_leaves_nothing(host: Sshd, home: Path) -> None:
    with terminal(command(host), environment(home)) as opened:
        opened.until(PROMPT)
        opened.type("sleep 1000\r")
        find(home, "^sleep 1000")
        opened.process.kill()
        assert opened.status() == -signal.SIGKILL
        assert_nothing_left(home)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_ssh_is_ended_too(host: Sshd, home: Path, signum: signal.Signals) -> None:
    host.forget_host()
    with terminal(command(host), environment(home)) as opened:
        opened.until(r"\(yes/no/\[fingerprint\]\)\? ")
        os.kill(find(home, "^ssh .* -M "), signal.SIGSTOP)
        opened.process.send_signal(signum)
        assert opened.status() in (255, -signal.SIGKILL)
        assert_nothing_left(home)
        wait_until(lambda: opened.modes() == opened.modes_at_start, "the terminal's modes")


def test_a_signal_at_a_random_moment_leaves_nothing(host: Sshd, home: Path) -> None:
    chance = random.Random(SEED)
    for signum in 3 * [signal.SIGTERM, signal.SIGKILL]:
        with terminal(command(host, "-c", "sleep 1000"), environment(home)) as opened:
            moment = Deadline(chance.uniform(0, 2500) * MS)
            wait_until(lambda: moment.passed)  # noqa: B023 - called here only
            os.kill(opened.process.pid, signum)
            assert opened.status() != 0
            assert_nothing_left(home)
        wait_until(lambda: not host.connections(), "the end of the connection")

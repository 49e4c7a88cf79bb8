"""mlogin stopped and continued, under a shell with job control as at a user's keyboard."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminals import LOCAL, REMOTE, Terminal, find, local_shell, modes, state_of
from tests.waiting import wait_until


@pytest.fixture
def shell(home: Path) -> Iterator[Terminal]:
    with local_shell(home) as shell:
        yield shell


def test_by_the_escape_and_back(shell: Terminal, home: Path) -> None:
    before = modes(shell)
    shell.type("$MLOGIN\r")
    shell.until(REMOTE)
    shell.type(b"~\x1a")
    shell.until("suspended; ")
    shell.until(LOCAL)
    assert state_of(find(home, "medusa.commands.mlogin")) == "T"
    assert modes(shell) == before
    shell.resize(123, 45)
    shell.type("fg\r")
    shell.type("stty size\r")
    shell.until("45 123\r\n")
    shell.type("exit 7\r")
    shell.until(LOCAL)
    shell.type("echo status $?\r")
    shell.until("status 7\r\n")
    shell.until(LOCAL)
    assert modes(shell) == before


def test_by_a_signal_from_outside_and_back(shell: Terminal, home: Path) -> None:
    before = modes(shell)
    shell.type("$MLOGIN\r")
    shell.until(REMOTE)
    pid = find(home, "medusa.commands.mlogin")
    for signum in (signal.SIGTSTP, signal.SIGSTOP):
        os.kill(pid, signum)
        shell.until(LOCAL)
        assert modes(shell) == before
        shell.type("fg\r")
        shell.type("stty -echo; echo re''mote\r")
        shell.until(r"remote\r\n")
    shell.type("exit\r")
    shell.until(LOCAL)
    assert modes(shell) == before


def test_a_script_around_it_stops_too(shell: Terminal, home: Path) -> None:
    """Like `make session`. Otherwise the shell would wait for a make that waits for mlogin."""
    shell.type("sh -c '$MLOGIN; echo after'\r")
    shell.until(REMOTE)
    shell.type(b"~\x1a")
    shell.until(LOCAL)
    shell.type("fg\r")
    shell.type("exit\r")
    shell.until(r"\nafter\r\n")
    shell.until(LOCAL)


def test_control_z_while_waiting(shell: Terminal, home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "agent.sh"
    archive.write_text("while ! test -e go; do sleep 0.05; done; exit 1")
    shell.type(f"$MLOGIN --archive {archive}\r")
    shell.until("waiting for local job")
    shell.type(b"\x1a")
    shell.until(LOCAL)
    pid = find(home, "medusa.commands.mlogin")
    wait_until(lambda: state_of(pid) == "T", "the stop")
    shell.type("fg\r")
    shell.until("waiting for local job")
    work = next(home.glob("medusa-*/work"))
    (work / "go").touch()
    shell.until("ended with status 1 before its agent appeared")
    shell.until(LOCAL)


def test_control_z_while_connecting(shell: Terminal, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        shell.type(f"$MLOGIN --reflector http://127.0.0.1:{deaf.getsockname()[1]}\r")
        shell.until("connecting to http")
        shell.type(b"\x1a")
        shell.until(LOCAL)
        assert state_of(find(home, "medusa.commands.mlogin")) == "T"
        shell.type("fg\r")
        shell.until("connecting to http")
        shell.type(b"\x03")
        shell.until("ended by SIGINT")
        shell.until(LOCAL)


def test_killed_while_stopped(shell: Terminal, home: Path) -> None:
    before = modes(shell)
    shell.type("$MLOGIN\r")
    shell.until(REMOTE)
    shell.type(b"~\x1a")
    shell.until(LOCAL)
    pid = find(home, "medusa.commands.mlogin")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the shell to notice")
    shell.type("wait; echo $((6*7))\r")
    shell.until("42")
    shell.until(LOCAL)
    assert modes(shell) == before

"""mlogin stopped and continued, under a shell with job control as at a user's keyboard."""

from __future__ import annotations

import os
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminals import MLOGIN, Terminal, environment, find, terminal
from tests.waiting import wait_until

LOCAL = "local> "
REMOTE = r"#\x1b\[0m "


def state_of(pid: int) -> str:
    """T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[0]


@pytest.fixture
def shell(home: Path) -> Iterator[Terminal]:
    """A local interactive shell, with `mlogin` in place of the whole command line; ended at its own prompt."""
    environ = {**environment(home), "PS1": "local''> ", "MLOGIN": shlex.join(MLOGIN)}
    with terminal(["bash", "--norc", "--noprofile", "--noediting"], environ) as opened:
        opened.type("PS1='local''> '; bind 'set enable-bracketed-paste off' 2>/dev/null\r")
        opened.until(LOCAL)
        yield opened
        opened.type("exit\r")
        opened.status()


def modes(shell: Terminal) -> str:
    """`stty -g`, asked at the local prompt."""
    shell.type("stty -g\r")
    found = shell.until(r"([0-9a-f]+(?::[0-9a-f]+){20,})\r\n").group(1).decode()
    shell.until(LOCAL)
    return found


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


def test_continued_in_the_background_it_leaves_the_terminal_alone(shell: Terminal, home: Path) -> None:
    before = modes(shell)
    shell.type("$MLOGIN\r")
    shell.until(REMOTE)
    shell.type(b"~\x1a")
    shell.until(LOCAL)
    shell.type("bg\r")
    shell.until(LOCAL)
    pid = find(home, "medusa.commands.mlogin")
    wait_until(lambda: state_of(pid) == "T", "the stop for want of a terminal")
    assert modes(shell) == before
    shell.type("fg\r")
    shell.type("exit 3\r")
    shell.until(LOCAL)
    shell.type("echo status $?\r")
    shell.until("status 3\r\n")
    shell.until(LOCAL)

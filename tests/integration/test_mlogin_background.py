"""mlogin in the background of a terminal, and on a terminal that another program reads too."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminals import LOCAL, REMOTE, Terminal, find, local_shell, modes, state_of
from tests.waiting import wait_until


@pytest.fixture
def shell(home: Path) -> Iterator[Terminal]:
    """A local shell, whose terminal must be as it was at the end."""
    with local_shell(home) as shell:
        before = modes(shell)
        yield shell
        assert modes(shell) == before


@pytest.mark.parametrize(
    "line",
    [
        'sh -c \'timeout 60 $MLOGIN -c "echo o""ut; exit 3"; echo status $?\'',
        "stty tostop; $MLOGIN -c 'echo o''ut; exit 3' & wait $!; echo status $?; stty -tostop",
        'sh -c \'$MLOGIN -c "echo o""ut; exit 3" & wait $!; echo status $?\'',
    ],
    ids=["timeout", "job", "of a script"],
)
def test_it_is_not_stopped(shell: Terminal, line: str) -> None:
    shell.type(line + "\r")
    shell.until(r"out\r")
    shell.until(r"status 3\r\n")
    shell.until(LOCAL)


def test_it_leaves_the_terminal_alone_until_it_comes_to_the_foreground(shell: Terminal, home: Path) -> None:
    before = modes(shell)
    shell.type("$MLOGIN -c 'echo rea''dy; read line; echo got-$line'; echo status $?\r")
    shell.until("ready")
    shell.type(b"~\x1a")
    shell.until(LOCAL)
    shell.type("bg\r")
    shell.until(LOCAL)
    pid = find(home, "medusa.commands.mlogin")
    wait_until(lambda: state_of(pid) != "T", "it to go on")
    assert modes(shell) == before
    shell.type("echo lo''cal\r")
    shell.until("local\r\n")
    shell.type("fg\r")
    wait_until(lambda: shell.modes()[3] != shell.modes_at_start[3], "raw mode")
    shell.type("typed\r")
    shell.until("got-typed\r\n")
    shell.until(LOCAL)


def test_it_takes_the_terminal_when_it_comes_to_the_foreground_for_the_first_time(shell: Terminal, home: Path) -> None:
    shell.type("$MLOGIN &\r")
    shell.until(REMOTE)
    shell.type("fg\r")
    wait_until(lambda: shell.modes()[3] != shell.modes_at_start[3], "raw mode")
    shell.type("exit 3\r")
    shell.until(r"session complete\r\n")
    shell.until(LOCAL)


@pytest.mark.parametrize(("pager", "shown"), [("less", r"\r?:\x1b\[K"), ("more", "--More--")])
def test_beside_a_pager(shell: Terminal, home: Path, pager: str, shown: str) -> None:
    """The pager gets the keys, and mlogin waits for none of them."""
    shell.type(f"$MLOGIN -c 'seq 1000000' | {pager}; echo status ${{PIPESTATUS[*]}}\r")
    shell.until(shown)
    shell.type(" ")
    shell.until(r"\n40\r\n")
    shell.until(shown)
    shell.type("q")
    shell.until(r"status 141 0\r\n")
    shell.until(LOCAL)


@pytest.mark.parametrize(
    "line",
    [
        "stty raw eof ^X; echo hi | $MLOGIN -t -c cat",
        "$MLOGIN -t -n -c 'cat; echo hi' | (stty -icanon -echo </dev/tty; cat)",
    ],
    ids=["raw", "a pager"],
)
def test_piped_input_ends_whatever_the_modes_of_the_terminal_are(shell: Terminal, line: str) -> None:
    shell.type(f"s=$(stty -g); {line}; stty $s; echo do''ne\r")
    shell.until(r"hi\r+\n")
    shell.until(r"done\r\n")
    shell.until(LOCAL)


def test_without_input(shell: Terminal, home: Path) -> None:
    """`-n`: what is typed stays for others, and the command finds the end of its input."""
    shell.type("$MLOGIN -n -c 'cat; echo rea''dy; until [ -e go ]; do sleep 0.05; done'; read line; echo got-$line\r")
    shell.until("ready")
    shell.type("typed\r")
    (next(home.glob("medusa-*/work")) / "go").touch()
    shell.until("got-typed\r\n")
    shell.until(LOCAL)


def test_a_disconnect_while_waiting(shell: Terminal, home: Path, tmp_path: Path) -> None:
    """Also what is typed before the session is sent."""
    archive = tmp_path / "agent.sh"
    archive.write_text("exec sleep 1000")
    shell.type(f"$MLOGIN --archive {archive}; echo status $?\r")
    shell.until("waiting for local job")
    wait_until(lambda: shell.modes() != shell.modes_at_start, "mlogin to read keys")
    shell.type("x\r~.")
    shell.until(r"mlogin: disconnected\r\n")
    shell.until(r"status 255\r\n")
    shell.until(LOCAL)


@pytest.mark.parametrize("stopped", ["reflector --port 0", "-I -S -B"], ids=["reflector", "agent"])
def test_a_disconnect_although_nothing_answers(shell: Terminal, home: Path, stopped: str) -> None:
    shell.type("$MLOGIN; echo status $?\r")
    shell.until(REMOTE)
    os.kill(find(home, stopped), signal.SIGSTOP)
    shell.type("\r~.")
    shell.until(r"status 254\r\n")
    shell.until(LOCAL)


ON = r"\e[?1049h\e[?1003h\e[?25l\e[?2004h"
OFF = r"\x1b\[\?25h\x1b\[\?1003l\x1b\[\?2004l\x1b\[\?1049l\x1b\[m"


@pytest.mark.parametrize(
    ("victim", "signum"),
    [
        ("medusa.commands.mlogin", signal.SIGKILL),
        ("medusa.commands.mlogin", signal.SIGTERM),
        ("reflector --port 0", signal.SIGKILL),
        ("^sleep 1000", signal.SIGKILL),
    ],
    ids=["killed", "ended", "link", "command"],
)
def test_the_emulator_is_put_right_after_an_abnormal_end(shell: Terminal, home: Path, victim: str, signum: int) -> None:
    shell.type(f"$MLOGIN -c \"printf '{ON}'; exec sleep 1000\"; echo do''ne\r")
    shell.until(r"\x1b\[\?2004h")
    os.kill(find(home, victim), signum)
    shell.until(r"done\r\n")
    shell.until(LOCAL)
    if not re.search(OFF.encode(), shell.screen):
        shell.until(OFF)  # the guard may be later than the shell's prompt


def test_a_dumb_terminal_gets_no_escape_sequences_but_the_sessions(shell: Terminal, home: Path) -> None:
    shell.type("TERM=dumb $MLOGIN -c 'printf rea''dy; sleep 1000'; echo status $?\r")
    shell.until("ready")
    os.kill(find(home, "reflector --port 0"), signal.SIGKILL)
    shell.until(r"status 254\r\n")
    shell.until(LOCAL)
    assert b"\x1b" not in shell.screen


def test_in_another_session_it_leaves_the_terminal_alone(shell: Terminal, home: Path) -> None:
    shell.type("setsid $MLOGIN -c 'echo rea''dy; sleep 1000'\r")
    shell.until("ready")
    shell.type("echo lo''cal\r")
    shell.until(r"local\r\n")
    os.kill(find(home, "medusa.commands.mlogin"), signal.SIGTERM)
    shell.until("ended by SIGTERM")
    shell.type("\r")
    shell.until(LOCAL)

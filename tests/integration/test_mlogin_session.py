"""Whole sessions: mlogin on a terminal, its embedded reflector, a local job from the real archive."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.terminals import MLOGIN, Terminal, assert_nothing_left, environment, find, terminal

PROMPT = r"#\x1b\[0m "


@pytest.fixture
def shell(home: Path) -> Iterator[Terminal]:
    """A session at its first prompt, left to the test to end; the terminal must be as it was."""
    with terminal(MLOGIN, environment(home), columns=100, lines=30) as opened:
        opened.until(PROMPT)
        yield opened
        opened.status()
        assert opened.modes() == opened.modes_at_start


def test_a_typed_command_its_status_and_a_word_of_goodbye(shell: Terminal) -> None:
    shell.type("echo täst $((6*7))\r")
    shell.until("\rtäst 42\r\n")
    shell.type("exit 7\r")
    assert shell.status() == 7
    assert shell.screen.endswith(b"mlogin: session complete\r\n")


def test_the_waiting_is_shown_and_wiped(home: Path, tmp_path: Path) -> None:
    late, go = tmp_path / "late.sh", tmp_path / "go"
    late.write_text(f"until [ -e '{go}' ]; do sleep 0.05; done; exec sh '{find_archive()}' \"$@\"")
    with terminal([*MLOGIN, "--archive", str(late)], environment(home)) as opened:
        opened.until(r"waiting for local job \d+: running 0:0\d")
        go.touch()
        # Wiped, and not to be drawn again: no spinner's "| w" behind it.
        opened.until(r"\r\x1b\[K(?![|/\\-] w)[^\r]{3}")
        opened.until(PROMPT)
        opened.type("exit\r")
        assert opened.status() == 0


def test_size_and_type_of_the_terminal(shell: Terminal) -> None:
    shell.type("stty size; echo $TERM\r")
    shell.until("\r30 100\r\nxterm\r\n")
    shell.resize(132, 43)
    shell.type("until [ \"$(stty size)\" = '43 132' ]; do sleep 0.05; done; echo re''sized\r")
    shell.until("resized")
    shell.type("exit\r")


def test_control_c_ends_the_remote_command_and_not_the_session(shell: Terminal, home: Path) -> None:
    shell.type("sleep 1000\r")
    find(home, "^sleep 1000")
    shell.type(b"\x03")
    shell.until(r"\^C")
    shell.until(PROMPT)
    shell.type("echo $((128+2)) $?\r")
    shell.until("130 130")
    shell.until(PROMPT)  # between two prompts the terminal's modes are not the shell's, and ^D would be eaten
    shell.type(b"\x04")
    assert shell.status() == 0


def test_bytes_that_are_no_text_pass(shell: Terminal) -> None:
    shell.type("stty raw -echo; echo re''ady; head -c 4 | od -An -tx1; stty sane\r")
    shell.until("ready")
    shell.type(b"\xff\x00\x03\x80")
    shell.until(" ff 00 03 80")
    shell.type("exit\r")


def test_escapes(shell: Terminal) -> None:
    shell.type("~?")
    shell.until(r"~\.   disconnect")
    shell.until("after a newline")
    shell.type("~i")
    shell.until(r"session    [0-9a-f-]{36}\r\n")
    shell.until(r"reflector  http://127.0.0.1:\d+ \(embedded\)\r\n")
    shell.until(r"job        local job \d+: running\r\n")
    shell.type("~~; echo a~.b\r")
    shell.until(r"\na~\.b\r\n")
    shell.type("~.")
    assert shell.status() == 254
    assert b"disconnected; outcome unknown" in shell.screen


def test_a_remote_death_by_signal(shell: Terminal) -> None:
    shell.type("kill -TERM $$; kill -KILL $$\r")
    assert shell.status() == 137
    assert b"mlogin: session ended by signal SIGKILL\r\n" in shell.screen


def test_a_full_screen_program_draws(shell: Terminal) -> None:
    shell.type("seq 1 1000 | less\r")
    shell.until(r"\r\n28\r\n29\r\n")
    shell.type("G")
    shell.until("1000")
    shell.type("q")
    shell.type("echo $((7*11))\r")
    shell.until("77\r\n")
    shell.type("exit\r")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_restores_the_terminal_and_ends_the_job(shell: Terminal, signum: int) -> None:
    shell.process.send_signal(signum)
    assert shell.status() == 254
    assert b"outcome unknown" in shell.screen


def test_kill_9_of_the_client(shell: Terminal, home: Path) -> None:
    shell.type("nohup sleep 1000 & sleep 1001\r")
    find(home, "^sleep 1000")
    find(home, "^sleep 1001")
    shell.process.kill()
    assert shell.status() == -signal.SIGKILL
    assert_nothing_left(home)


def test_kill_9_of_the_agent(shell: Terminal, home: Path) -> None:
    shell.type("nohup sleep 1000 & sleep 1001\r")
    find(home, "^sleep 1001")
    os.kill(find(home, "-I -S -B"), signal.SIGKILL)
    assert shell.status() == 254
    assert b"outcome unknown" in shell.screen


def test_kill_9_of_the_reflector(shell: Terminal, home: Path) -> None:
    shell.type("nohup sleep 1000 & sleep 1001\r")
    find(home, "^sleep 1001")
    os.kill(find(home, "reflector --port 0"), signal.SIGKILL)
    assert shell.status() == 254
    assert b"outcome unknown" in shell.screen


def test_kill_9_of_the_remote_shell(shell: Terminal, home: Path) -> None:
    os.kill(find(home, "^/bin/bash --norc"), signal.SIGKILL)
    assert shell.status() == 137


def test_the_terminal_goes_away(home: Path) -> None:
    """As when the window is closed."""
    with terminal(MLOGIN, environment(home)) as opened:
        opened.until(PROMPT)
        find(home, "^/bin/bash --norc")
    assert_nothing_left(home)

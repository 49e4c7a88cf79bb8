"""Whole sessions: mlogin on a terminal, its embedded reflector, a local job from the real archive."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.agents import alive
from tests.terminals import MLOGIN, Terminal, assert_nothing_left, environment, find, terminal
from tests.waiting import wait_until

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
    shell.type("echo täst $((6*7)) $TERM $(stty size)\r")
    shell.until("\rtäst 42 xterm 30 100\r\n")
    shell.type("exit 7\r")
    assert shell.status() == 7
    assert shell.screen.endswith(b"mlogin: session complete\r\n")


def test_the_start_says_where_the_user_is_and_how_to_leave(shell: Terminal) -> None:
    where = rb"you are in the job \(local job \d+\); exit or ~\. leaves it, ~\? helps\r\n"
    assert re.search(rb"\r\x1b\[Kmlogin: " + where, shell.screen)
    shell.type("exit\r")


@pytest.mark.parametrize(("options", "said"), [([], "on"), (["--no-login"], "off")])
def test_a_login_shell_reads_its_start_up_files(home: Path, tmp_path: Path, options: list[str], said: str) -> None:
    (tmp_path / ".bash_profile").write_text("PS1='profile > '; WHO=reader\n")
    environ = {**environment(home), "HOME": str(tmp_path), "MEDUSA_LOGIN_SHELL": ""}
    with terminal([*MLOGIN, *options], environ) as opened:
        opened.until("profile > " if said == "on" else PROMPT)
        opened.type("echo $(shopt login_shell) ${WHO:-nobody}\r")
        opened.until(f"login_shell {said} " + ("reader" if said == "on" else "nobody"))
        opened.type("exit 3\r")
        assert opened.status() == 3


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


def test_control_c_is_felt_under_a_flood(shell: Terminal, home: Path) -> None:
    """What the job has written and the user has not seen yet is little, also if the terminal takes nothing."""
    shell.type("PS1=the-e''nd; yes\r")
    flood = find(home, "^yes")
    while len(shell.screen) < 2 << 20:
        assert shell.read()
    shell.type(b"\x03")
    wait_until(lambda: not alive(flood), "the flood to end")
    seen = len(shell.screen)
    shell.until("the-end")
    assert len(shell.screen) - seen < 512 * 1024
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


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_restores_the_terminal_and_ends_the_job(shell: Terminal, signum: int) -> None:
    shell.process.send_signal(signum)
    assert shell.status() == 254
    assert b"outcome unknown" in shell.screen


def test_the_terminal_goes_away(home: Path) -> None:
    """As when the window is closed."""
    with terminal(MLOGIN, environment(home)) as opened:
        opened.until(PROMPT)
        find(home, "^/bin/bash --norc")
    assert_nothing_left(home)


def test_the_terminal_of_the_job_is_like_the_users(home: Path) -> None:
    """Its modes, its colours, and no limit that the job did not have."""
    environ = {**environment(home), "COLORTERM": "truecolor", "MINE": "5", "MY_TOKEN": "secret"}
    command = "stty -a; echo $COLORTERM/$MINE/$MY_TOKEN.; ulimit -Sc"
    words = [*MLOGIN, "--send-env", "M*", "-c", command]
    script = 'stty erase ^H intr ^X iutf8 -ixon; ulimit -Sc 7; exec "$@"'
    with terminal(["bash", "-c", script, "bash", *words], environ) as opened:
        assert opened.status() == 0
    shown = opened.screen.decode()
    for expected in ("erase = ^H;", "intr = ^X;", "-ixon", " iutf8", "truecolor/5/.\r\n7\r\n"):
        assert expected in shown
    assert "-iutf8" not in shown

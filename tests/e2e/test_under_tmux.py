"""A user's session at a real terminal program, typed and read through tmux."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminals import MLOGIN, ROOT, assert_nothing_left, find, processes_of
from tests.waiting import PATIENCE, wait_until

BULK = 100_000_000


class Pane:
    """One tmux server with one window in which a local shell runs."""

    def __init__(self, tmp_path: Path, home: Path) -> None:
        self._environ = {**os.environ, "TMUX_TMPDIR": str(tmp_path), "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        self._environ.pop("TMUX", None)
        shell = "PS1='local''> ' TERM=screen exec bash --norc --noprofile"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", shell)
        self.tmux("set-option", "-g", "window-size", "manual")
        self.until("local>")
        self.type(f'export TMPDIR={home}; mlogin() {{ {shlex.join(MLOGIN)} "$@"; }}; clear')
        self.until_gone("export")

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", *arguments], env=self._environ, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=True
        )
        return done.stdout.decode()

    def keys(self, *names: str) -> None:
        """Keys by tmux's names: C-c, Enter, Escape."""
        self.tmux("send-keys", *names)

    def type(self, line: str) -> None:
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def screen(self) -> list[str]:
        return [line.rstrip() for line in self.tmux("capture-pane", "-p").splitlines()]

    def until(self, text: str, seconds: float = PATIENCE) -> str:
        """Waits for a line that begins with `text`."""

        def found() -> str:
            return next((line for line in self.screen() if line.startswith(text)), "")

        try:
            return wait_until(found, text, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; on the screen:\n" + "\n".join(self.screen())) from None

    def until_gone(self, text: str) -> None:
        wait_until(lambda: not any(text in line for line in self.screen()), f"{text} to go")

    def clear(self) -> None:
        self.keys("C-l")
        wait_until(lambda: len([line for line in self.screen() if line]) == 1, "a clear screen")

    def modes(self) -> str:
        """`stty -g`, asked at the local prompt."""
        self.clear()
        self.type("echo modes $(stty -g)")
        found = self.until("modes ")
        self.clear()
        return found


@pytest.fixture
def pane(tmp_path: Path, home: Path) -> Iterator[Pane]:
    pane = Pane(tmp_path, home)
    yield pane
    pane.tmux("kill-server")


def remote(pane: Pane) -> None:
    """From the local prompt to a remote one, short enough to leave room on the line."""
    pane.type("mlogin")
    wait_until(lambda: any(line.endswith("#") for line in pane.screen()), "the remote prompt")
    pane.type("PS1='remote''# '; clear")
    pane.until_gone("clear")
    pane.until("remote#")


def test_a_whole_session(pane: Pane, home: Path, tmp_path: Path) -> None:
    before = pane.modes()
    remote(pane)
    pane.type("echo $((6*7)) grüße 日本語")
    pane.until("42 grüße 日本語")

    pane.tmux("resize-window", "-x", "120", "-y", "40")
    pane.type("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.05; done; stty size")
    pane.until("40 120")

    text = tmp_path / "poem"
    pane.type(f"TERM=screen vi -u NONE {text}")
    pane.until("~")
    pane.keys("i")
    pane.tmux("send-keys", "-l", "über")
    pane.keys("Enter", "x", "Escape", ":", "w", "q", "Enter")
    wait_until(text.exists, "vi to save")
    pane.until("remote#")
    assert text.read_text() == "über\nx\n"

    pane.type("seq 1 500 | less")
    pane.until("39")
    pane.keys("G")
    pane.until("500")
    pane.keys("q")

    pane.clear()
    pane.type("sleep 1000")
    find(home, "^sleep 1000")
    pane.keys("C-c")
    pane.until("^C")
    pane.type("echo interrupted $?")
    pane.until("interrupted 130")

    pane.type("exit 7")
    pane.until("mlogin: session complete")
    pane.type("echo status $?")
    pane.until("status 7")
    assert_nothing_left(home)
    assert pane.modes() == before


@pytest.mark.parametrize(
    ("victim", "status"),
    [("medusa.commands.mlogin", 137), ("-I -S -B", 254), ("reflector --port 0", 254), ("^-bash", 137)],
    ids=["client", "agent", "reflector", "shell"],
)
def test_kill_9_of_any_part_leaves_the_terminal_and_nothing_else(
    pane: Pane, home: Path, victim: str, status: int
) -> None:
    before = pane.modes()
    remote(pane)
    pane.type("nohup sleep 1000 > /dev/null 2>&1 &")
    find(home, "^sleep 1000")
    os.kill(find(home, victim), signal.SIGKILL)
    pane.until("local>")
    pane.type("echo status $?")
    pane.until(f"status {status}")
    wait_until(lambda: not processes_of(home), "all processes to end")
    assert pane.modes() == before


def test_100_mb_into_a_pipe_beside_the_terminal(pane: Pane, tmp_path: Path) -> None:
    source, digest = tmp_path / "source", tmp_path / "digest"
    source.write_bytes(os.urandom(1 << 20))
    heard = hashlib.sha256()
    rest = BULK
    while rest:
        piece = source.read_bytes()[:rest]
        heard.update(piece)
        rest -= len(piece)
    produce = f"stty -opost; while cat {source}; do :; done | head -c {BULK}"
    pane.type(f"mlogin -q -c {shlex.quote(produce)} | sha256sum > {digest}; echo status ${{PIPESTATUS[*]}}")
    pane.until("status 0 0", 6 * PATIENCE)
    assert digest.read_text().split()[0] == heard.hexdigest()

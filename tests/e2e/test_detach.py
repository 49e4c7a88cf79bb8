"""Sessions that go on without mlogin: detached, left by a closed terminal or by a kill, and attached to again."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cuts import cuts
from tests.reflectors import Reflector, running
from tests.signing import Key, allow, write_key
from tests.terminals import MLOGIN, Terminal, environment, processes_of, run_alone, terminal
from tests.waiting import PATIENCE, wait_until

MEDUSA = [sys.executable, "-m", "medusa"]

PROMPT = "job> "
SHELL = ("--no-login", "--env", "PS1=job> ", "--env", "HISTFILE=/dev/null")

KILLS = 2


class User:
    """Runs the programs of one user, at one reflector."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home, self.options = home, options
        self.environ = {**environment(home), "HOME": str(home), "XDG_RUNTIME_DIR": ""}

    def medusa(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run_alone([*MEDUSA, *words, *self.options], self.environ)

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.medusa("ls", "--json").stdout)
        return found

    def states(self) -> list[str]:
        return [entry["state"] for entry in self.sessions()]

    def has_detached(self) -> dict[str, Any]:
        """The only session, if it is held because its user has detached; otherwise nothing."""
        (entry,) = self.sessions()
        return entry if (entry["state"], entry["held_for"]) == ("held", "detached") else {}

    def mlogin(self, *words: str, **size: int) -> Any:
        return terminal([*MLOGIN, "--name", "train", *words, *self.options], self.environ, **size)

    def attach(self, *words: str, **size: int) -> Any:
        return terminal([*MEDUSA, "attach", *words, *self.options], self.environ, **size)


@pytest.fixture(scope="module")
def reflector() -> Iterator[Reflector]:
    with running() as reflector:
        yield reflector


@pytest.fixture
def user(reflector: Reflector, home: Path) -> Iterator[User]:
    user = User(home, "--reflector", reflector.url)
    yield user
    for session in reflector.states():
        user.medusa("kill", session)
    wait_until(lambda: not reflector.states(), "the end of all sessions")


def leave(shell: Terminal) -> None:
    shell.type("~d")
    shell.until("mlogin: detached; the job goes on")
    shell.until("to come back: medusa attach train --reflector http://")
    assert shell.status() == 0


def test_a_detached_session_is_held_and_ends_by_its_own_shell(user: User) -> None:
    with user.mlogin(*SHELL, "-L", "0:localhost:1") as shell:
        shell.until(PROMPT)
        shell.type("X=kept; echo here''too\r")
        shell.until("heretoo")
        leave(shell)
        shell.until("nothing is forwarded any more; to do so again: medusa forward train ... --reflector http://")
    wait_until(user.has_detached, "the agent's news")
    with user.attach(columns=100, lines=30) as shell:  # the only one that is held
        shell.until("heretoo")
        shell.until(PROMPT)
        shell.type("echo $X $(stty size)\r")
        shell.until("kept 30 100")
        shell.type(shlex.join([*MEDUSA, "attach", "train", *user.options]) + "; echo status-$?\r")
        shell.until("MEDUSA_TERMINAL says that this program runs in that terminal")
        shell.until("status-255")
        shell.type("exit 7\r")
        assert shell.status() == 7
    wait_until(lambda: user.states() == [], "the end of the session")


def test_input_that_the_command_does_not_read_is_counted(user: User) -> None:
    with user.mlogin("-t", "-c", "stty raw -echo; echo ready; exec sleep 1000") as shell:
        shell.until("ready")
        shell.type(b"x" * 300_000 + b"\r~d")
        shell.until("mlogin: detached; the job goes on")
        left = shell.until(r"input was dropped, because the command does not read it: (\d+) bytes or more")
        assert 0 < int(left[1]) < 300_000
        assert shell.status() == 0


@pytest.mark.parametrize("by", ["medusa kill", "a kill of its agent"])
def test_it_starts_detached_and_is_killed(user: User, by: str) -> None:
    line = f"until rm {user.home}/go 2>/dev/null; do sleep 0.1; done; kill -KILL $PPID"
    done = run_alone([*MLOGIN, "-d", "--name", "train", "-c", line, *user.options], user.environ)
    entry = wait_until(user.has_detached, "the agent's news")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"session {entry['id']}")
    assert f"medusa attach train {' '.join(user.options)}" in done.stdout
    assert any("kill -KILL" in line for line in processes_of(user.home).values())
    if by == "medusa kill":
        assert user.medusa("kill", "train").returncode == 0
    else:
        (user.home / "go").touch()  # mlogin's guard process tells the reflector that the job is over
    wait_until(lambda: user.states() == [], "the end of the session")


@pytest.mark.parametrize(
    ("by", "line", "words", "status"),
    [("-d", "exit 3", "ended, status 3", 3), ("SIGKILL", "kill -HUP $$", "ended, killed by SIGHUP", 129)],
)
def test_a_command_that_ends_while_nobody_is_there(user: User, by: str, line: str, words: str, status: int) -> None:
    command = f"echo begun; until rm {user.home}/go 2>/dev/null; do sleep 0.1; done; {line}"
    if by == "-d":
        run_alone([*MLOGIN, "-d", "--name", "train", "-c", command, *user.options], user.environ)
    else:
        with user.mlogin("-c", command) as shell:
            shell.until("begun")
            shell.process.send_signal(signal.SIGKILL)
            shell.process.wait(PATIENCE)
    wait_until(lambda: user.states() == ["held"], "the end of the client")
    assert words not in user.medusa("ls").stdout
    (user.home / "go").touch()
    wait_until(lambda: words in user.medusa("ls").stdout, "the agent's news")
    assert words in run_alone([*MEDUSA, "sessions", "list", *user.options], user.environ).stdout
    with user.attach("train") as shell:
        assert shell.status() == status
    wait_until(lambda: user.states() == [], "the end of the session")


@pytest.mark.parametrize("how", ["killed", "hung up"])
def test_a_client_that_is_gone_leaves_its_terminal(user: User, how: str) -> None:
    """Again and again: the shell, its variables and a line that is half typed are still there."""
    with user.mlogin(*SHELL) as shell:
        end(shell, how, 0)
    for number in range(1, KILLS):
        with user.attach("train") as shell:
            shell.until(f"echo half{number - 1}")
            shell.type(" and whole\r")
            shell.until(f"\\rhalf{number - 1} and whole")
            end(shell, how, number)
    wait_until(lambda: user.states() == ["held"], "the end of the client")


def test_the_user_leaves_while_the_link_is_lost(home: Path) -> None:
    """At once; what was typed meanwhile, and that the user has left, is told to the job later."""
    with running() as reflector, cuts(reflector.port, 1, mean=1 << 40) as proxy:
        user = User(home, "--reflector", f"http://127.0.0.1:{proxy.port}")
        with user.mlogin(*SHELL) as shell:
            shell.until(PROMPT)
            proxy.refuses = True
            proxy.cut_all()
            shell.until(r"reconnecting \.\.\. ")
            shell.type("echo typed''later\r~d")
            shell.until("mlogin: detached; the job goes on")
            shell.until("the link is lost; if the agent cannot be told within 30 s, it keeps the terminal for 1 h only")
            assert shell.status() == 0
        proxy.refuses = False
        wait_until(lambda: user.states() == ["held"], "the agent's return")
        with user.attach() as shell:
            shell.until("typedlater")
            shell.type("exit 6\r")
            assert shell.status() == 6
        wait_until(lambda: not processes_of(home), "the guard, which tells the reflector that the job is over")


def test_the_job_of_a_killed_client_that_keeps_nothing_ends(user: User) -> None:
    with user.mlogin(*SHELL, "--keep", "0") as shell:
        shell.until(PROMPT)
        shell.process.send_signal(signal.SIGKILL)
        shell.process.wait(PATIENCE)
    wait_until(lambda: not processes_of(user.home), "the end of the job")
    wait_until(lambda: user.states() == [], "the end of the session")


def end(shell: Terminal, how: str, number: int) -> None:
    shell.until(PROMPT)
    shell.type(f"echo half{number}")
    shell.until(f"half{number}")
    if how == "killed":
        shell.process.send_signal(signal.SIGKILL)
    else:
        shell.process.send_signal(signal.SIGHUP)
    shell.process.wait(PATIENCE)


def test_two_terminals_show_the_same_and_one_takes_over(user: User) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(user.mlogin(*SHELL))
        first.until(PROMPT)
        second = stack.enter_context(user.attach("train"))
        second.until(PROMPT)
        second.type("echo one''two\r")
        for shell in (first, second):
            shell.until("onetwo")
        with user.attach("train", "--read-only") as watching:
            watching.until("onetwo")
            watching.type("exit\r~.")
            assert watching.status() == 254
        with user.attach("train", "--steal") as third:
            third.until("onetwo")
            for shell in (first, second):
                shell.until("another client has taken the terminal over; the session goes on there")
                assert shell.status() == 254
            third.type("exit 3\r")
            assert third.status() == 3


def test_what_is_refused(user: User) -> None:
    own = run_alone([*MLOGIN, "-d", "-c", ":"], user.environ)
    assert (own.returncode, "--reflector URL names one that stays" in own.stderr) == (255, True)
    stale = terminal([*MEDUSA, "attach", "no-such-session", *user.options], user.environ)
    with stale as shell:
        shell.until("no session at .* has this name")
        assert shell.status() == 255
    with user.attach() as shell:
        shell.until("you have no sessions at")
        assert shell.status() == 255
    with user.mlogin(*SHELL, "--keep", "0") as shell:
        shell.until(PROMPT)
        shell.type("~d")
        shell.until("not detached: --keep 0 ends the session with mlogin")
        shell.type("\rexit 4\r")
        assert shell.status() == 4


def test_an_account_is_attached_to_from_elsewhere_and_by_nobody_else(tmp_path: Path) -> None:
    accounts, keys = tmp_path / "accounts", {"alice": Key("ed25519"), "bob": Key("ed25519")}
    accounts.mkdir()
    for login, key in keys.items():
        allow(accounts, login, key)
    with running("--accounts", str(accounts), "--front-door-only", check=False) as door:

        def user(login: str, place: str) -> User:
            directory = tmp_path / place
            directory.mkdir()
            key = write_key(tmp_path / f"{place}.key", keys[login])
            return User(directory, "--reflector", door.url, "-a", login, "-k", str(key))

        alice, elsewhere, bob = user("alice", "here"), user("alice", "there"), user("bob", "bob")
        with alice.mlogin(*SHELL) as shell:
            shell.until(PROMPT)
            shell.process.send_signal(signal.SIGKILL)
            shell.process.wait(PATIENCE)
        (entry,) = elsewhere.sessions()
        with bob.attach(entry["id"]) as shell:
            shell.until("there is no such session, or the signature does not open it")
            assert shell.status() == 255
        assert bob.medusa("kill", entry["id"]).returncode == 1
        with elsewhere.attach("train") as shell:
            shell.until(PROMPT)
            shell.type("exit 5\r")
            assert shell.status() == 5
        wait_until(lambda: not processes_of(alice.home), "the end of the job")

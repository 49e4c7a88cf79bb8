from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from agent.command.login_shell import login_of
from agent.command.resolve import Launch, resolve
from medusa.protocol.control import Start
from tests.unit.agent.command.test_resolve import BASH, having

ASKED = Start(command="/bin/bash", arguments=("--norc",), login=True)


def account(shell: str, home: str = "/home/alice") -> pwd.struct_passwd:
    return pwd.struct_passwd(("alice", "x", 1000, 1000, "", home, shell))


@pytest.fixture
def zsh(tmp_path: Path) -> str:
    path = tmp_path / "zsh"
    path.touch(0o755)
    return str(path)


def launch(shell: str, *programs: str, start: Start = ASKED, **environ: str) -> Launch:
    return resolve(start, None, environ, having(*programs), lambda given: login_of(given, account(shell)))


def test_it_is_called_as_a_login_shell(zsh: str) -> None:
    found = launch(zsh, zsh, "/bin/bash")
    assert (found.argv, found.name, found.notes) == ((zsh,), "-zsh", ())
    assert {name: found.env[name] for name in ("SHELL", "HOME", "USER", "LOGNAME")} == {
        "SHELL": zsh,
        "HOME": "/home/alice",
        "USER": "alice",
        "LOGNAME": "alice",
    }
    assert "PS1" not in found.env, "zsh has its own form of prompts"


def test_a_command_for_it(zsh: str) -> None:
    start = Start(command="/bin/bash", arguments=("-c", "make"), login=True)
    assert launch(zsh, zsh, start=start).argv == (zsh, "-c", "make")


def test_the_job_keeps_its_home_but_not_its_shell(zsh: str) -> None:
    env = launch(zsh, zsh, HOME="/scratch", SHELL="/bin/csh").env
    assert (env["HOME"], env["SHELL"]) == ("/scratch", zsh)


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "zsh", "/no/such/shell"])
def test_an_account_without_a_shell_gets_bash(shell: str) -> None:
    found = launch(shell, "/bin/bash")
    assert (found.argv, found.name, found.env["SHELL"]) == (("/bin/bash",), "-bash", "/bin/bash")
    assert found.notes[0].startswith(f"the login shell {shell} is ")
    assert "\\u@\\h" in found.env["PS1"]


def test_without_bash_it_gets_sh() -> None:
    found = launch("/bin/false", "/bin/sh")
    assert (found.argv, found.name, found.env["SHELL"]) == (("/bin/sh",), "-sh", "/bin/sh")


def test_a_user_without_an_account(monkeypatch: pytest.MonkeyPatch, zsh: str) -> None:
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert login_of({"SHELL": zsh}) == (zsh, {"SHELL": zsh}, [])
    assert login_of({}).shell == "/bin/bash"


def test_an_account_with_empty_fields() -> None:
    found = login_of({}, account("", ""))
    assert (found.shell, found.variables["HOME"]) == ("/bin/sh", "/")


def test_only_if_it_is_asked_for() -> None:
    found = resolve(Start(), None, {}, BASH)
    assert (found.argv, found.name) == (("/bin/bash", "--norc"), None)
    assert "SHELL" not in found.env

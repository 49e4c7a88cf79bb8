from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medusa import __version__
from medusa.client import launchers
from medusa.client.settings import Settings
from medusa.commands import mlogin
from tests.unit.commands.conftest import Complaint


def test_defaults() -> None:
    assert mlogin.parse([]) == Settings(wait_timeout=600)


def test_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        "-c uname -e ^] -q --launcher local --reflector https://r:1/x/ -i --wait-timeout 5 --archive a.sh -a x -tt "
        "--env A=1 --env A=b=c --env HERE --env NOT_HERE --cwd /tmp/x --name train.1 object"
    )
    monkeypatch.setenv("HERE", "")
    assert mlogin.parse(line.split()) == Settings(
        command="uname",
        pty=True,
        env=(("A", "b=c"), ("HERE", "")),
        cwd="/tmp/x",
        name="train.1",
        escape=b"\x1d",
        escape_given=True,
        quiet=True,
        launcher="local",
        reflector="https://r:1/x/",
        insecure_tls=True,
        login="x",
        wait_timeout=5,
        archive="a.sh",
        object="object",
    )


def test_what_is_for_the_job_system_stays_as_it_is() -> None:
    line = "--launcher manual --launcher-arg=-p --launcher-arg gpu --job 7 -- --time 5 -c x -- y"
    assert mlogin.parse(line.split()) == Settings(
        launcher="manual", wait_timeout=600, arguments=("-p", "gpu", "--time", "5", "-c", "x", "--", "y"), job="7"
    )


def test_an_unknown_launcher_is_answered_with_those_there_are(complaint: Complaint) -> None:
    said = complaint(mlogin.parse, ["--launcher", "x\x1b"], 255)
    assert f"there is no launcher `x\\x1b`; there are {', '.join(launchers.names())}" in said


def test_an_escape_means_nothing_without_input(complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing is read" in complaint(mlogin.parse, ["-n", "-e", "^]"], 255)
    monkeypatch.setenv("MEDUSA_ESCAPE", "^]")
    for arguments in (["-n"], ["-n", "-e", "none"]):
        assert mlogin.parse(arguments).no_input


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--reflector", "tcp://h:1", "--header", "X: secret"], "raw TCP has no header fields"),
        (["--header", "X: secret"], "--header: for which reflector?"),
        (["--reflector", "https://r", "--header", "secret"], "a header is of the form 'NAME: VALUE'"),
    ],
)
def test_headers_that_cannot_be_sent(complaint: Complaint, arguments: list[str], why: str) -> None:
    said = complaint(mlogin.parse, arguments, 255)
    assert why in said
    assert "secret" not in said


def test_what_is_turned_off() -> None:
    options = mlogin.parse(["-e", "none", "--wait-timeout", "0"])
    assert (options.escape, options.escape_given, options.wait_timeout) == (None, True, None)


@pytest.mark.parametrize(
    ("typed", "variable", "pty"),
    [("", "", None), ("-T", "true", False), ("-T -t", "", True), ("--tty --no-tty", "", False), ("", "false", False)],
)
def test_the_last_word_about_a_terminal_counts(
    monkeypatch: pytest.MonkeyPatch, typed: str, variable: str, pty: bool | None
) -> None:
    monkeypatch.setenv("MEDUSA_TTY", variable)
    assert mlogin.parse(typed.split()).pty is pty


def test_how_a_command_runs_may_stand_in_the_config_file(tmp_path: Path) -> None:
    config = tmp_path / "mlogin.conf"
    config.write_text("[x]\ntty = false\nenv = A=1\nenv = B=2 3\ncwd = /x\nname = y\n")
    options = mlogin.parse(["--config", str(config), "x"])
    assert (options.pty, options.env, options.cwd, options.name) == (False, (("A", "1"), ("B", "2 3")), "/x", "y")


def test_command_line_over_environment_over_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "mlogin.conf"
    config.write_text("reflector = http://file\nwait-timeout = 1\nquiet = true\nescape = %\n")
    monkeypatch.setenv("MEDUSA_CONFIG", str(config))
    monkeypatch.setenv("MEDUSA_REFLECTOR", "http://environment")
    monkeypatch.setenv("MEDUSA_WAIT_TIMEOUT", "2")
    options = mlogin.parse(["--wait-timeout", "3"])
    assert (options.wait_timeout, options.reflector) == (3, "http://environment")
    assert (options.quiet, options.escape) == (True, b"%")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--nonsense"], "--nonsense"),
        (["-e", "ab"], "'ab' is not one ASCII character"),
        (["-e", "."], "already means something else"),
        (["--launcher", "nosuch"], "nosuch"),
        (["--reflector", "ftp://x"], "'ftp://x' is not the http"),
        (["--reflector", "http://"], "'http://' is not the http"),
        (["--reflector", "tcp://h"], "nor tcp://HOST:PORT"),
        (["--reflector", "http://["], "'http://[' is not the http"),
        (["--reflector", "http://h:port"], "'http://h:port' is not the http"),
        (["--reflector", "http://h/?secret"], "no query"),
        (["--wait-timeout", "-1"], "--wait-timeout"),
        (["--wait-timeout", "nan"], "--wait-timeout"),
        (["--config", "/nowhere/mlogin.conf"], "/nowhere/mlogin.conf"),
        (["--session", "7", "--launcher", "local"], "not both"),
        (["one", "two"], "two"),
        (["--env", "=secret"], "'' is no name of a variable"),
        (["--env", "1=secret"], "'1' is no name"),
        (["--env", "MEDUSA_X=secret"], "MEDUSA_X is never sent"),
        (["--env", f"A=secret{'x' * 32768}"], "at most 128 variables and 32 KiB"),
        ([f"--env=A{n}=secret" for n in range(129)], "at most 128 variables"),
        (["-e", "A=1"], "--env NAME=VALUE sets a variable"),
        (["--name", "a b"], "'a b': a name has"),
        (["--cwd", "x" * 4097], "at most 4096 characters"),
        (["slurm:", "-t", "1:00"], "go after --: mlogin slurm: -- -t 1:00"),
    ],
)
def test_wrong_usage_is_a_status_that_no_command_has(complaint: Complaint, arguments: list[str], why: str) -> None:
    said = complaint(mlogin.parse, arguments, 255)
    assert said.startswith("mlogin: ")
    assert why in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "url",
    ["http://bob:secret@host", "https://secret@host/x", "secret@host", "http://bob:a/secret@h", "ftp://b:secret@[h"],
)
@pytest.mark.parametrize("way", ["command line", "environment", "config file"])
def test_a_url_with_user_info_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint, url: str, way: str
) -> None:
    config = tmp_path / "mlogin.conf"
    config.write_text(f"reflector = {url}\n" if way == "config file" else "")
    if way == "environment":
        monkeypatch.setenv("MEDUSA_REFLECTOR", url)
    arguments = ["--reflector", url] if way == "command line" else []
    said = complaint(mlogin.parse, ["--config", str(config), *arguments], 255)
    assert "no user name and password" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("text", "assets"), [("asset = /a b\n", ("/a b",)), ('{"asset": ["/a b", "/c"]}', ("/a b", "/c"))]
)
def test_assets_in_a_config_file(tmp_path: Path, text: str, assets: tuple[str, ...]) -> None:
    config = tmp_path / "mlogin.conf"
    config.write_text(text)
    words = ["--config", str(config), "--launcher", "manta", "-u", "https://m", "-a", "jill"]
    assert mlogin.parse(words).manta.assets == assets


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        mlogin.parse(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"mlogin {__version__}\n"


def test_closed_standard_descriptors_are_not_given_to_something_else() -> None:
    script = "from medusa.commands.mlogin import _open_standard_fds as f; f(); import os; print(os.pipe()[0])"
    run = subprocess.run(
        ["sh", "-c", 'exec 0<&-; exec "$@" 2>&-', "sh", sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        check=True,
        cwd=os.getcwd(),
    )
    assert int(run.stdout) > 2

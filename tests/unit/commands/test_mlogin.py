from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medusa import __version__
from medusa.client import launchers
from medusa.client.launchers.base import MantaJobOptions
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


KEY = ":".join(["aa"] * 16)
SIGNED = {"login": "jill", "subuser": "joe", "key": KEY, "url": "https://manta"}
VARIABLES = {"MANTA_USER": "jill", "MANTA_SUBUSER": "joe", "MANTA_KEY_ID": KEY, "MANTA_URL": "https://manta"}


def test_every_option_for_a_manta() -> None:
    line = f"--launcher manta -a jill --user joe -k {KEY} -u https://manta --disk 8 --memory 1024 --init hi"
    more = ["--image", "13.3"]
    more += ["-s", "~~/stor/a tool", "--asset", "/b", "--assets", "/c", "--agent-object", "/d", "/jill/stor/x"]
    assert mlogin.parse([*line.split(), *more]) == Settings(
        launcher="manta",
        object="/jill/stor/x",
        manta=MantaJobOptions(8, 1024, "hi", "13.3", ("~~/stor/a tool", "/b", "/c"), "/d"),
        **SIGNED,  # type: ignore[arg-type]
    )


def test_a_job_of_a_manta_is_waited_for_as_long_as_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for arguments, timeout in (([], None), (["--wait-timeout", "0"], None), (["--wait-timeout", "5"], 5)):
        assert mlogin.parse(["--launcher", "manta", *arguments]).wait_timeout == timeout


@pytest.mark.parametrize("more", [["--launcher", "manta"], ["--reflector", "https://r"]])
def test_the_originals_environment_says_who_signs(monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MANTA_TLS_INSECURE", "1")
    options = mlogin.parse(more)
    assert {name: getattr(options, name) for name in SIGNED} == SIGNED
    assert options.insecure_tls


@pytest.mark.parametrize(
    "kept", [(), ("MANTA_USER",), ("MANTA_KEY_ID",), ("MANTA_USER", "MANTA_URL"), tuple(VARIABLES)]
)
def test_the_originals_environment_is_no_wish_to_sign(monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...]) -> None:
    for name in kept:
        monkeypatch.setenv(name, VARIABLES[name])
    monkeypatch.setenv("MANTA_TLS_INSECURE", "1")
    monkeypatch.setenv("LOGNAME", "me")
    assert mlogin.parse([]) == Settings(wait_timeout=600)
    if len(kept) < len(VARIABLES):
        for url in ("https://r", "tcp://r:1"):
            options = mlogin.parse(["--reflector", url])
            assert options.unsigned_first
            assert not options.insecure_tls
            assert options.url is None
            assert options.login == ("jill" if "MANTA_USER" in kept else "me")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["-a", "jill", "-k", KEY], "--account and --key: for which"),
        (["-ajill"], "--account: for which"),
        (["--subuser=joe"], "--subuser: for which"),
        (["-u", "https://m"], "--url names a Manta"),
    ],
)
def test_an_option_counts_although_a_variable_has_the_same_value(
    complaint: Complaint, monkeypatch: pytest.MonkeyPatch, arguments: list[str], option: str
) -> None:
    same = {"MANTA_USER": "jill", "MANTA_KEY_ID": KEY, "MANTA_SUBUSER": "joe", "MANTA_URL": "https://m"}
    for name, value in same.items():
        monkeypatch.setenv(name, value)
    assert option in complaint(mlogin.parse, arguments, 255)


def test_a_key_that_was_typed_signs_although_a_variable_has_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTA_KEY_ID", KEY)
    monkeypatch.setenv("LOGNAME", "me")
    for arguments, first in ((["-k", KEY], False), ([], True)):
        options = mlogin.parse(["--reflector", "https://r", *arguments])
        assert (options.login, options.key, options.unsigned_first) == ("me", KEY, first)


def test_an_escape_means_nothing_without_input(complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing is read" in complaint(mlogin.parse, ["-n", "-e", "^]"], 255)
    monkeypatch.setenv("MEDUSA_ESCAPE", "^]")
    for arguments in (["-n"], ["-n", "-e", "none"]):
        assert mlogin.parse(arguments).no_input


@pytest.mark.parametrize("kept", [(), ("MANTA_KEY_ID",), tuple(VARIABLES)])
def test_no_account_by_the_users_own_wish(monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...]) -> None:
    for name in kept:
        monkeypatch.setenv(name, VARIABLES[name])
    options = mlogin.parse(["--reflector", "https://r", "-a", ""])
    assert options == Settings(wait_timeout=600, reflector="https://r")
    for name, value in {"ACCOUNT": "jill", "KEY": KEY, "SUBUSER": "ci"}.items():
        monkeypatch.setenv(f"MEDUSA_{name}", value)
    assert mlogin.parse(["--reflector", "https://r", "-a", ""]) == options


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--launcher", "manta", "-a", "jill", "-k", KEY], "which Manta? Give --url"),
        (["--launcher", "manta", "-u", "https://m", "-a", ""], "which account? Give --account"),
        (["--reflector", "https://r", "-a", "", "-k", KEY], "which account? Give --account"),
        (["--reflector", "https://r", "-k", KEY, "-a", "../x"], "'../x' is no login"),
        (["--reflector", "https://r", "-k", KEY, "-a", "x", "--user", "a/b"], "'a/b' is no login"),
        (["-u", "https://m"], "--url names a Manta, whose jobs are run by --launcher manta"),
        (["--reflector", "https://r", "-a", "x", "-k", KEY, "-u", "https://m"], "--url names a Manta"),
        (["-a", "jill", "-k", KEY], "--account and --key: for which reflector? Give --reflector URL, or --launcher"),
        (["-k", KEY, "--launcher", "slurm"], "--key: for which reflector?"),
        (["--subuser", "joe"], "--subuser: for which reflector?"),
        (["-i"], "--insecure-tls: for which reflector?"),
        (["--disk", "0"], "'0' is not a number above 0"),
        (["--memory", "many"], "'many' is not a number above 0"),
    ],
)
def test_what_is_missing_or_wrong_for_a_signature(complaint: Complaint, arguments: list[str], why: str) -> None:
    assert why in complaint(mlogin.parse, arguments, 255)


@pytest.mark.parametrize(
    ("arguments", "login", "key"),
    [
        (["--reflector", "https://r", "-a", "jill"], "jill", None),
        (["--reflector", "https://r", "-k", KEY], "me", KEY),
        (["--reflector", "https://r", "--subuser", "joe"], "me", None),
        (["--launcher", "manta", "-u", "https://m"], "me", None),
    ],
)
def test_the_account_is_the_login_name_and_the_key_is_found_later(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], login: str, key: str | None
) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    options = mlogin.parse(arguments)
    assert (options.login, options.key, options.unsigned_first) == (login, key, False)


def test_a_login_name_that_cannot_be_an_account(monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    monkeypatch.setenv("LOGNAME", "DOMAIN/me")
    assert mlogin.parse(["--reflector", "https://r"]) == Settings(wait_timeout=600, reflector="https://r")
    assert "which account?" in complaint(mlogin.parse, ["--reflector", "https://r", "-k", KEY], 255)


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

from __future__ import annotations

from pathlib import Path

import pytest

from medusa.client.settings import Settings
from medusa.commands.own_sessions import execute
from tests.unit.commands.conftest import Complaint

JOINS = {"quiet": True, "launcher": "held", "joins": True, "wait_timeout": 60.0, "prog": "medusa exec"}
UUID = "5d3e0000-0000-4000-8000-00000000000a"


def test_defaults() -> None:
    assert execute.parse(["train"]) == Settings(beginning="train", **JOINS)  # type: ignore[arg-type]


def test_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    line = f"-T {UUID.upper()} -n --env A=1 --cwd /x --login --send-env B,C --reflector https://r"
    line += " --insecure -a al --user ci -k k"
    assert execute.parse([*line.split(), "--", "ls", "-l"]) == Settings(
        command="ls -l",
        pty=False,
        login_shell=True,
        env=(("A", "1"),),
        cwd="/x",
        no_input=True,
        send_env=(*Settings.send_env, "B", "C"),
        reflector="https://r",
        session=UUID,
        beginning=UUID.upper(),
        login="al",
        subuser="ci",
        key="k",
        insecure_tls=True,
        **JOINS,  # type: ignore[arg-type]
    )
    unsigned = execute.parse(["train", "--reflector", "http://r"])
    assert (unsigned.login, unsigned.unsigned_first) == ("me", True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], None),
        (["cd run && ls *.log"], "cd run && ls *.log"),
        (["git-upload-pack '/a b'"], "git-upload-pack '/a b'"),
        (["echo", "a b", "$HOME", "*", "", "'"], "echo 'a b' '$HOME' '*' '' ''\"'\"''"),
        (["sh", "-c", "exit 3"], "sh -c 'exit 3'"),
        (["--", "-t"], "-- -t"),
    ],
)
def test_one_word_is_a_line_for_the_shell_and_several_arrive_as_they_are(words: list[str], line: str | None) -> None:
    assert execute.parse(["x", "--", *words]).command == execute.shell_line(words) == line


def test_the_config_file_of_mlogin_counts(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("env = A=1\ncommand = tmux\n[gpu]\nreflector = https://r\naccount = alice\nlauncher = slurm\n")
    options = execute.parse(["x", "--config", str(config), "--profile", "gpu"])
    assert (options.env, options.command, options.login) == ((("A", "1"),), None, "alice")
    assert (options.reflector, options.launcher) == ("https://r", "held")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "SESSION"),
        ([""], "which session? `medusa ls` lists yours"),
        (["x", "ls", "-l"], "a command stands after --: medusa exec x -- ls -l"),
        (["x", "echo", "a b"], "a command stands after --: medusa exec x -- echo 'a b'"),
        (["-it", "x", "--", "sh"], "-it; input is always passed on, and -t asks for a terminal"),
        (["x", "--evn", "A=secret"], "--evn; did you mean --env?"),
        (["x", "--env", "A B=secret"], "'A B' is no name"),
        (["x", "--reflector", "ftp://h"], "'ftp://h' is not the http"),
        (["x", "--reflector", "tcp://h:1", "--header", "A: secret"], "raw TCP has no header fields"),
        (["x", "--reflector", "http://h", "-a", "../x"], "'../x' is no login"),
    ],
)
def test_wrong_usage_is_a_status_that_no_command_has(complaint: Complaint, arguments: list[str], why: str) -> None:
    said = complaint(execute.main, arguments, 255)
    assert why in said
    assert "secret" not in said

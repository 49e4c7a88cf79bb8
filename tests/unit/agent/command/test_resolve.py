from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.command.encoding import to_bytes, to_text
from agent.command.resolve import CannotStart, merge_size, resolve
from medusa.protocol.control import Resize, Start


def having(*programs: str) -> Callable[[str], str | None]:
    """A `which` for a machine with these programs."""
    by_name = {os.path.basename(program): program for program in programs}
    return lambda word: (word if word in programs else None) if "/" in word else by_name.get(word)


BASH = having("/bin/bash", "/bin/sh")


def argv(start: Start, which: Callable[[str], str | None]) -> tuple[str, ...]:
    return resolve(start, None, {}, which).argv


def test_default_is_bash_without_its_startup_file() -> None:
    launch = resolve(Start(), None, {}, BASH)
    assert launch.argv == ("/bin/bash", "--norc")
    assert (launch.cwd, launch.size, launch.notes) == (os.getcwd(), Resize(80, 25), ())


def test_arguments_alone_go_to_the_default() -> None:
    assert argv(Start(arguments=("-c", "true")), BASH) == ("/bin/bash", "--norc", "-c", "true")


CTRUN = "/usr/bin/ctrun"
ORIGINAL = ("-i", "core", "-l", "child", "/bin/bash", "--norc")


def test_ctrun_is_run_where_there_is_one() -> None:
    which = having(CTRUN, "/bin/bash")
    assert argv(Start(command=CTRUN, arguments=ORIGINAL), which) == (CTRUN, *ORIGINAL)


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        (ORIGINAL, ("/bin/bash", "--norc")),
        (("-o", "pgrponly", "-t", "-v", "/bin/bash", "-c", "-i"), ("/bin/bash", "-c", "-i")),
        (("-lchild", "--", "/bin/bash"), ("/bin/bash",)),
        (("/bin/bash",), ("/bin/bash",)),
    ],
)
def test_ctrun_is_left_out_where_there_is_none(arguments: tuple[str, ...], rest: tuple[str, ...]) -> None:
    launch = resolve(Start(command=CTRUN, arguments=arguments), None, {}, BASH)
    assert launch.argv == rest
    assert launch.notes == ("no /usr/bin/ctrun here: running /bin/bash directly",)


@pytest.mark.parametrize("arguments", [(), ("-l", "child"), ("-l",), ("--",)])
def test_ctrun_without_a_command(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CannotStart, match="no command after its options"):
        argv(Start(command=CTRUN, arguments=arguments), BASH)


def test_bash_of_another_place() -> None:
    launch = resolve(Start(), None, {}, having("/opt/bin/bash"))
    assert launch.argv == ("/opt/bin/bash", "--norc")
    assert launch.notes == ("no /bin/bash here: running /opt/bin/bash",)
    assert "\\u@\\h" in launch.env["PS1"]


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        (("--norc",), ()),
        (("--norc", "--rcfile", "x", "-c", "--norc"), ("-c", "--norc")),
        (("-c", "true"), ("-c", "true")),
        (("--", "script"), ("script",)),
    ],
)
def test_plain_shell_where_there_is_no_bash(arguments: tuple[str, ...], rest: tuple[str, ...]) -> None:
    launch = resolve(Start(command="/bin/bash", arguments=arguments), None, {}, having("/bin/sh"))
    assert launch.argv == ("/bin/sh", *rest)
    assert "\\" not in launch.env["PS1"]


def test_no_shell_at_all() -> None:
    with pytest.raises(CannotStart, match=r"/bin/bash: not found or not executable, and there is no /bin/sh"):
        argv(Start(), having())


def test_other_programs_have_no_stand_in() -> None:
    with pytest.raises(CannotStart, match="vi: not found or not executable"):
        argv(Start(command="vi"), BASH)


def test_relative_path_is_relative_to_the_childs_directory(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "tool"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    launch = resolve(Start(command="bin/tool", cwd=str(tmp_path)), None, {})
    assert launch.argv == (str(program),)


def test_relative_directory_is_relative_to_the_agents() -> None:
    assert resolve(Start(cwd="tests/.."), None, {}, BASH).cwd == os.getcwd()


def test_directory_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(CannotStart, match="Permission denied"):
        resolve(Start(cwd=str(tmp_path)), None, {}, BASH)


@pytest.mark.parametrize(
    ("cwd", "reason"), [("/no/such/place", "No such file or directory"), ("/etc/passwd", "Not a directory")]
)
def test_directory_that_is_none(cwd: str, reason: str) -> None:
    with pytest.raises(CannotStart, match=f"cannot start in {cwd}: {reason}"):
        resolve(Start(cwd=cwd), None, {}, BASH)


def test_environment_is_the_agents_without_its_own_variables() -> None:
    agents = {
        "PATH": "/bin",
        "MEDUSA_CONFIG": "/x",
        "MEDUSA_": "",
        "MEDUSA_SERVICE_HOST": "10.96.0.7",
        "MEDUSA_PORT": "tcp://10.96.0.7:8381",
        "LINES": "1",
        "COLUMNS": "2",
        "TERM": "a",
        "LANG": "C",
    }
    env = resolve(Start(), None, agents, BASH).env
    assert env.pop("PS1") == r"\[\e[1m\]\u@\h:\w\$\[\e[0m\] "
    service = {"MEDUSA_SERVICE_HOST": "10.96.0.7", "MEDUSA_PORT": "tcp://10.96.0.7:8381"}
    assert env == {"PATH": "/bin", "TERM": "xterm", "LANG": "C", **service}


def test_prompt_and_terminal_in_a_job() -> None:
    env = resolve(Start(term="screen"), None, {"MANTA_USER": "poe"}, BASH).env
    assert (env["PS1"], env["TERM"]) == (r"\[\e[1m\]${MANTA_USER}@manta # \[\e[0m\]", "screen")


@pytest.mark.parametrize("name", ["LC_ALL", "LC_CTYPE", "LANG"])
def test_locale_is_given_only_to_a_job_that_has_none(name: str) -> None:
    assert resolve(Start(), None, {name: ""}, BASH).env["LC_CTYPE"] == "C.UTF-8"
    assert resolve(Start(), None, {name: "de_DE"}, BASH).env.get("LC_CTYPE", "de_DE") == "de_DE"


@pytest.mark.parametrize(
    ("columns", "lines", "known", "size"),
    [
        (None, None, None, Resize(80, 25)),
        (0, 0, Resize(10, 20), Resize(10, 20)),
        (100, None, Resize(10, 20), Resize(100, 20)),
        (100, 50, None, Resize(100, 50)),
    ],
)
def test_unknown_sizes_leave_what_was_known(
    columns: int | None, lines: int | None, known: Resize | None, size: Resize
) -> None:
    assert merge_size(columns, lines, known) == size


def test_text_of_the_kernel_goes_through_unchanged() -> None:
    data = bytes(range(1, 256))
    assert to_bytes(to_text(data)) == data


def test_the_clients_variables_win_where_they_may() -> None:
    sent = {"COLORTERM": "truecolor", "PATH": "/evil", "MEDUSA_CONFIG": "x", "LC_TIME": "no_SUCH", "LC_MINE": "5"}
    agents = {"PATH": "/bin", "COLORTERM": "24bit", "LANG": "C"}
    env = resolve(Start(env=sent), None, agents, BASH).env
    wanted = {"PATH": "/bin", "COLORTERM": "truecolor", "LANG": "C", "LC_MINE": "5"}
    assert {name: env[name] for name in env if name not in ("TERM", "PS1")} == wanted
    env = resolve(Start(env=sent, named=("PATH", "LC_TIME")), None, agents, BASH).env
    assert (env["PATH"], env["LC_TIME"]) == ("/evil", "no_SUCH")


@pytest.mark.parametrize(("lang", "ctype"), [("no_SUCH.UTF-8", "C.UTF-8"), ("C.UTF-8", None)])
def test_a_language_that_is_missing_here_is_kept_but_text_stays_utf_8(lang: str, ctype: str | None) -> None:
    env = resolve(Start(env={"LANG": lang}), None, {"LANG": "C"}, BASH).env
    assert (env["LANG"], env.get("LC_CTYPE")) == (lang, ctype)

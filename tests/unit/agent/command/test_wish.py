from __future__ import annotations

import os
from typing import Any

import pytest

from agent.command.login_shell import login_of
from agent.command.resolve import CannotStart
from agent.command.wish import resolve_session
from medusa.protocol.channels.kinds import KINDS, parse
from medusa.protocol.control import Resize

SHELL = login_of({}).shell
ENVIRON = {"PATH": os.environ["PATH"], "TERM": "of-the-job"}


def fields(**given: Any) -> dict[str, Any]:
    return parse(given, KINDS["session"].fields)


@pytest.mark.parametrize(
    ("given", "argv", "name"),
    [
        ({"command": "a b"}, ["/bin/bash", "-c", "a b"], None),
        ({"command": "a", "login": False}, ["/bin/bash", "-c", "a"], None),
        ({"command": "a", "login": True}, [SHELL, "-c", "a"], "-" + os.path.basename(SHELL)),
        ({}, [SHELL], "-" + os.path.basename(SHELL)),
        ({"login": False}, ["/bin/bash", "--norc"], None),
        ({"command": ""}, ["/bin/bash", "-c", ""], None),
    ],
)
def test_what_is_run(given: dict[str, Any], argv: list[str], name: str | None) -> None:
    launch = resolve_session(fields(**given), ENVIRON)
    assert (list(launch.argv), launch.name) == (argv, name)


def test_a_shell_after_a_failed_step_is_no_login_shell() -> None:
    launch = resolve_session(fields(), ENVIRON, login_shell=False)
    assert (launch.argv, launch.name) == (("/bin/bash", "--norc"), None)


@pytest.mark.parametrize(
    ("given", "term", "prompt"),
    [
        ({}, "of-the-job", False),
        ({"env": {"TERM": "asked", "PS1": "> "}, "named": ["TERM", "PS1"]}, "asked", True),
        ({"pty": {"columns": 3, "lines": 4, "term": "vt100"}}, "vt100", True),
    ],
)
def test_only_a_terminal_has_a_prompt_and_a_name(given: dict[str, Any], term: str, prompt: bool) -> None:
    env = resolve_session(fields(**given), ENVIRON).env
    assert (env.get("TERM"), "PS1" in env) == (term, prompt)
    assert "TERM" not in resolve_session(fields(), {"PATH": "/bin"}).env


@pytest.mark.parametrize("modes", ["", "03000000082a0000000100", "zz", "0", "\u0660\u0660"])
def test_terminal(modes: str) -> None:
    launch = resolve_session(fields(pty={"columns": 3, "lines": 0, "modes": modes}), ENVIRON)
    assert launch.size == Resize(3, 25)
    assert launch.modes == ({3: 8, 42: 1} if len(modes) > 2 else {})


@pytest.mark.parametrize("variables", [{"MEDUSA_A": "1"}, {"A B": "1"}, {"A": "x" * 40_000}, {"LINES": "3"}])
def test_named_variables_that_cannot_be_set(variables: dict[str, str]) -> None:
    with pytest.raises(CannotStart, match="cannot be set, or are too large: " + next(iter(variables))):
        resolve_session(fields(env=variables, named=[*variables, "OTHER"]), ENVIRON)
    assert not variables.items() & resolve_session(fields(env=variables), ENVIRON).env.items()

from __future__ import annotations

from pathlib import Path

import pytest

from medusa.commands.reflector.command import make_parser
from medusa.commands.reflector.variables import CONFIG, WAIT_TIMEOUT, adopt_old_variables

OLD, OLD_WAIT, ORIGINAL = "MEDUSA_CONFIG", "MEDUSA_WAIT_TIMEOUT", "CONFIG_FILE"

OURS = ['{"bind_ip": "127.0.0.1"}', "port = 0\n", "wait_timeout = 3\n", "port = 0\nnonsense = 1\n", "not a setting\n"]
USERS = ["[gpu]\n", "reflector = https://r\n", "wait-timeout = 3\naccount = a\n", '{"account": "a"}', "", "[gpu\n"]


def adopted(environ: dict[str, str], *argv: str) -> list[tuple[str, str]]:
    return adopt_old_variables(make_parser(), argv, environ)


@pytest.mark.parametrize("text", [*OURS, *USERS])
def test_a_config_file_by_the_old_name(tmp_path: Path, text: str) -> None:
    """The reflector's own file is taken, and the user's is left alone."""
    file = tmp_path / "config"
    file.write_text(text)
    environ = {OLD: str(file), ORIGINAL: "/original"}
    assert adopted(environ) == ([(OLD, CONFIG)] if text in OURS else [])
    assert environ[CONFIG] == (str(file) if text in OURS else "/original")


def test_names_that_go_before_the_old_ones() -> None:
    assert adopted({CONFIG: "/new", OLD: "/old", WAIT_TIMEOUT: "1", OLD_WAIT: "2"}) == []
    assert adopted({OLD: "/old", OLD_WAIT: "2"}, "--config=/x", "--wait-timeout", "1") == []


@pytest.mark.parametrize(("value", "taken"), [("5", True), ("0", False), ("soon", False), ("", False)])
def test_the_wait_timeout_by_the_old_name(value: str, taken: bool) -> None:
    environ = {OLD_WAIT: value}
    assert adopted(environ) == ([(OLD_WAIT, WAIT_TIMEOUT)] if taken else [])
    assert environ.get(WAIT_TIMEOUT) == (value if taken else None)

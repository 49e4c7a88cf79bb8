"""Header fields of the user's own, for a front that asks for them: sent by mlogin, the agent and `medusa sessions`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxies import demanding
from tests.reflectors import Reflector, running
from tests.signing import Key, allow, write_key
from tests.terminals import MLOGIN, environment, find, processes_of, run_alone, terminal

SECRETS = ("open-sesame", "eDp5")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Iterator[tuple[Reflector, str, Path]]:
    """A reflector, the URL of a front that wants X-Front and Authorization, and a directory with the key of jill."""
    directory = tmp_path_factory.mktemp("front")
    (directory / "accounts").mkdir()
    allow(directory / "accounts", "jill", key)
    write_key(directory / "key", key)
    (directory / "headers").write_text("# of the front\nX-Front: open-sesame\n")
    with (
        running("--accounts", str(directory / "accounts")) as reflector,
        demanding(directory, reflector.port, "open-sesame", "Basic eDp5") as port,
    ):
        yield reflector, f"http://127.0.0.1:{port}", directory


def test_the_front_is_passed_and_no_value_is_in_a_process_list(front: tuple[Reflector, str, Path], home: Path) -> None:
    _, url, directory = front
    who = ["--reflector", url, "-a", "jill", "-k", str(directory / "key")]
    headers = ["--header", f"@{directory}/headers", "--header", "Authorization: Basic eDp5"]
    with terminal([*MLOGIN, *who, *headers, "-c", "env; cat"], environment(home)) as opened:
        find(home, "^cat")
        assert not [line for line in processes_of(home).values() if any(secret in line for secret in SECRETS)]
        opened.type("\x04")
        assert opened.status() == 0
    assert not any(secret.encode() in opened.screen for secret in SECRETS)


def test_a_command_prints_them_and_a_variable_names_it(front: tuple[Reflector, str, Path], home: Path) -> None:
    _, url, directory = front
    command = f"cat {directory}/headers; echo 'Authorization: Basic eDp5'"
    sessions = [sys.executable, "-m", "medusa", "sessions", "list", "--reflector", url]
    listed = run_alone(sessions, {**environment(home), "MEDUSA_HEADER_COMMAND": command})
    assert (listed.returncode, listed.stderr) == (0, "")
    refused = run_alone([*sessions, "-a", ""], environment(home))
    assert "HTTP status 403" in refused.stderr


@pytest.mark.parametrize("header", ["Host: geheim", "X: geheim\r\nY: geheim", "geheim", "Sec-WebSocket-Key: geheim"])
def test_a_header_that_may_not_be_set_is_not_quoted(home: Path, header: str) -> None:
    for command in (
        MLOGIN,
        [sys.executable, "-m", "medusa", "sessions", "list"],
        [sys.executable, "-m", "agent", "http://h"],
    ):
        run = run_alone([*command, "--header", header], environment(home))
        assert run.returncode in (2, 255)
        assert "--header" in run.stderr
        assert "geheim" not in run.stderr

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from medusa.commands.reflector.check.precautions import warn
from medusa.reflector.config import ReflectorConfig

SECRET = "redis://:secret@h"


@pytest.mark.parametrize(
    ("settings", "mode", "warnings"),
    [
        ({}, 0o644, []),
        ({"directory": "redis://h"}, 0o644, []),
        ({"directory": SECRET}, 0o600, []),
        ({"directory": SECRET}, 0o640, ["config file open to others"]),
        ({"publish": "https://h/x?signature=x"}, 0o604, ["config file open to others"]),
    ],
)
def test_secrets_in_the_config_file(tmp_path: Path, settings: dict[str, Any], mode: int, warnings: list[str]) -> None:
    file = tmp_path / "config"
    file.touch(mode)
    file.chmod(mode)
    with capture_logs() as logs:
        warn(ReflectorConfig(**settings), str(file), ["--directory"])
    assert [entry["event"] for entry in logs] == warnings


@pytest.mark.parametrize("word", [SECRET, f"--directory={SECRET}"])
def test_secrets_in_the_process_list(word: str) -> None:
    with capture_logs() as logs:
        warn(ReflectorConfig(directory=SECRET), None, ["--directory", word])
    assert [entry["event"] for entry in logs] == ["process list shows a password"]
    assert "secret@" not in str(logs)


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"accounts": "x"}, False),
        ({"accounts": "x", "bind_ip": "::1"}, False),
        ({"accounts": "x", "bind_ip": "0.0.0.0"}, True),
        ({"accounts": "x", "bind_ip": "10.0.0.1"}, True),
        ({"accounts": "x", "bind_ip": "::", "tls_cert": "x", "tls_key": "x"}, False),
        ({"accounts": "x", "bind_ip": "::", "trusted_proxy": ("10.0.0.1",)}, False),
        ({"trusted_network": True, "bind_ip": "::"}, False),
    ],
)
def test_accounts_without_tls_off_loopback(settings: dict[str, Any], warned: bool) -> None:
    with capture_logs() as logs:
        warn(ReflectorConfig(**settings), None, ["reflector"])
    assert [entry["event"] for entry in logs] == ["sessions are not encrypted"] * warned

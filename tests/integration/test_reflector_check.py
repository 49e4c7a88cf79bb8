from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reflectors import ROOT
from tests.signing import Key
from tests.waiting import PATIENCE

COMMAND = (sys.executable, "-m", "medusa", "reflector", "--check")


def check(*arguments: str, **variables: str) -> tuple[int, str, str]:
    environ = {**os.environ, **variables}
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_safe_configuration_whose_port_is_in_use(tmp_path: Path, key: Key) -> None:
    """It listens on nothing, so the port does not matter."""
    (tmp_path / "alice").write_bytes(key.line)
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, out, err = check("--accounts", str(tmp_path), "--port", str(other.getsockname()[1]))
    assert (status, err) == (0, "")
    assert key.sha256 in out
    assert out.endswith("\nnothing is wrong or unsafe\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alice"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bind-ip = 0.0.0.0\n", "FILE: bind-ip: 0.0.0.0 is not a loopback address"),
        ("bind-ip = 0.0.0.0\ntrusted-network = true\n", "trusted-network: everyone who reaches 0.0.0.0"),
        ("prot = 1\n", "FILE: prot: there is no such option (line 1)"),
    ],
)
def test_a_file_that_is_wrong_or_unsafe(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "reflector.conf"
    file.write_text(text)
    status, out, err = check(MEDUSA_REFLECTOR_CONFIG=str(file))
    assert status == 1
    assert words.replace("FILE", str(file)) in out + err

"""The load generator of sessions, with a shell in place of a session."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.session_load import main


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["pipe", "--size", "2m"], {"bytes", "MBps", "whole_s"}),
        (["terminal", "--size", "200k", "--terminal-option=-e"], {"bytes", "MBps", "whole_s"}),
        (["stale", "--rate", "1e6", "--duration", "0.05"], {"stale_MB", "end_s"}),
    ],
)
def test_each_action_gives_a_record(arguments: list[str], keys: set[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--", "sh", "-c"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert set(record) == keys
    assert record.get("bytes", 1) > 0


FORWARDS = """#!/bin/sh
IFS=:
set -- $2
(until socat -u OPEN:/dev/null TCP:$1:$2 2>/dev/null; do :; done; echo) &
exec socat TCP-LISTEN:$2,bind=$1,reuseaddr,fork TCP:$3:$4
"""
"""A program that listens as `-L BIND:PORT:HOST:PORT` says, and then writes a line."""


def test_a_forwarded_port(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "program"
    program.write_text(FORWARDS)
    os.chmod(program, 0o755)
    assert main(["forward", "--size", "2m", "--", str(program), "x"]) == 0
    assert json.loads(capfd.readouterr().out)["bytes"] == 2 << 20


@pytest.mark.parametrize("script", ['eval "$1"; echo more', 'eval "$1"; exit 3', "exit 0"])
def test_wrong_output_is_a_failure(script: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(program, 0o755)
    assert main(["pipe", "--", str(program)]) == 1
    assert "of 1048576 bytes" in capfd.readouterr().err

"""The load generator of sessions, with a shell in place of a session."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.loads.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["pipe", "--size", "2m"], {"bytes", "MBps", "whole_s"}),
        (["pipe-up", "--size", "2m"], {"bytes", "MBps"}),
        (["terminal", "--size", "200k", "--terminal-option=-e"], {"bytes", "MBps", "whole_s"}),
        (["keys", "--count", "5"], {"rtt_us"}),
        (["stale", "--rate", "1e6", "--duration", "0.05"], {"stale_MB", "end_s"}),
    ],
)
def test_each_action_gives_a_record(arguments: list[str], keys: set[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--", "sh", "-c"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert set(record) == keys
    assert record.get("bytes", 1) > 0


FORWARDS = """
IFS=:
set -- $2
exec socat -d -d TCP-LISTEN:$2,bind=$1,reuseaddr,fork TCP:$3:$4 2>&1
"""
"""A program that listens as `-L BIND:PORT:HOST:PORT` says, and tells of that."""

COPIES = """
exec cp -r $(printf '%s\\n' "$@" | sed 's/^job://; /^-r$/d')
"""


def script(place: Path, text: str) -> str:
    program = place / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    os.chmod(program, 0o755)
    return str(program)


@pytest.mark.parametrize(
    ("words", "text", "last", "keys"),
    [
        ("forward --size 2m", FORWARDS, "x", {"bytes", "MBps"}),
        ("forward --up --size 2m --connections 4", FORWARDS, "x", {"bytes", "MBps"}),
        ("forward-echo --count 3", FORWARDS, "x", {"rtt_us"}),
        ("forward-connect --count 3", FORWARDS, "x", {"connections_per_s"}),
        ("copy --up --size 2m", COPIES, "job:", {"MBps", "files_per_s"}),
        ("copy --count 3", COPIES, "job:", {"MBps", "files_per_s"}),
        ("first --count 3", 'exec "$1"', "", {"first_ms"}),
    ],
)
def test_ports_and_copies(
    words: str, text: str, last: str, keys: set[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = [script(tmp_path, text), *([last] if last else [])]
    assert main([*words.split(), "--", *program]) == 0
    assert set(json.loads(capfd.readouterr().out)) == keys


def test_a_wrong_copy_is_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "--count", "3", "--", script(tmp_path, 'mkdir "$3"'), "job:"]) == 1
    assert "differs" in capfd.readouterr().err


@pytest.mark.parametrize("text", ['eval "$1"; echo more', 'eval "$1"; exit 3', "exit 0"])
def test_wrong_output_is_a_failure(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pipe", "--", script(tmp_path, text)]) == 1
    assert "of 1048576 bytes" in capfd.readouterr().err

"""The programs that give context to the echo of a key."""

from __future__ import annotations

import json
import shutil

import pytest

from bench.loads.__main__ import main
from bench.peers import screens


@pytest.mark.parametrize("name", ["bare", "tmux", "mosh"])
def test_a_key_comes_back(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    if name != "bare" and not shutil.which(name):
        pytest.skip(f"needs {name}")
    with getattr(screens, name)() as program:
        assert program.pids == ()
        assert main(["keys", "--count", "3", *program.flags]) == 0
    assert json.loads(capfd.readouterr().out)["rtt_us"]["p50"] > 0

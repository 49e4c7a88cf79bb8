"""The tools that a benchmark sets up, by several processes at the same time."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import toolchain
from tests.waiting import wait_until

NPM = """#!/bin/sh
echo run >>runs
mkdir -p node_modules/ws
printf '{"version": ' >node_modules/ws/package.json
read -r go <go
printf '"1.0.0"}' >>node_modules/ws/package.json
"""
"""An npm that stops in the midst of a file until a line comes through the pipe `go`."""


def test_packages_are_installed_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text(NPM)
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"ws": "1.0.0"}}))
    os.mkfifo(tmp_path / "go")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(toolchain.install_packages, tmp_path)
        wait_until((tmp_path / "node_modules" / "ws" / "package.json").exists)
        second = pool.submit(toolchain.install_packages, tmp_path)
        (tmp_path / "go").write_text("\n")
        assert first.result() == second.result() == tmp_path / "node_modules"
    assert (tmp_path / "runs").read_text() == "run\n"
    assert toolchain.installed_versions(tmp_path) == {"ws": "1.0.0"}

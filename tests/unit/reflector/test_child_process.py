"""Parts of this program as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medusa.reflector.child_process import module, surroundings


def test_finds_this_installation_and_not_what_lies_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "medusa").mkdir()
    (tmp_path / "medusa" / "__main__.py").write_text("print('a stranger')")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(module("medusa", "--version"), **surroundings(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("medusa ")


def test_is_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shows_itself.py").write_text("import os; print(os.getsid(0), os.getpid(), os.getcwd())")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    done = subprocess.run(module("shows_itself"), **surroundings(), capture_output=True, text=True, check=True)
    session, pid, directory = done.stdout.split()
    assert session == pid != str(os.getpid())
    assert directory == "/"

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medusa.client.archive import CARRIED
from medusa.client.launchers import compiled
from medusa.client.launchers.compiled import compile_agent, compiled_file

ARCHIVE = CARRIED.resolve()


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory below which Python, and so this module, keeps bytecode."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "caches"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path / "caches"


def run(runs: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the archive as a local job does."""
    environ = {"PATH": os.environ["PATH"], "MEDUSA_PYTHON": sys.executable, "MEDUSA_RUNS": runs}
    command = ["sh", str(ARCHIVE), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_the_agent_runs_by_the_compiled_modules(tmp_path: Path) -> None:
    compile_agent(ARCHIVE)
    path = compiled_file(ARCHIVE)
    modules = marshal.loads(path.read_bytes())
    assert modules["agent/__main__.py"]
    modules["agent/log.pyc"] = compile(
        "import sys\ndef log(line): sys.stderr.write('compiled: %s\\n' % line)", "", "exec"
    )
    path.write_bytes(marshal.dumps(modules))
    run_by_it, plain = (run(runs, "--config", str(tmp_path / "none")) for runs in (str(path), "1"))
    assert (run_by_it.returncode, plain.returncode) == (2, 2)
    assert run_by_it.stderr == plain.stderr.replace("medusa agent: ", "compiled: ")


@pytest.mark.parametrize("content", [None, b"", b"\0\1\2", marshal.dumps(5), marshal.dumps({"a": 1})[:-3]])
def test_a_file_that_is_missing_or_damaged_is_not_used(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "compiled"
    if content is not None:
        path.write_bytes(content)
    assert run(str(path), "--help").stdout.startswith("usage: agent.sh")


def test_files_of_earlier_archives_are_removed(caches: Path) -> None:
    path = compiled_file(ARCHIVE)
    path.parent.mkdir(parents=True)
    earlier = path.with_name("agent-0123" + path.name[path.name.index(".") :])
    other_python = path.with_name("agent-0123.cpython-27.pyc")
    for old in (earlier, other_python):
        old.touch()
    compile_agent(ARCHIVE)
    assert sorted(path.parent.iterdir()) == sorted([path, other_python])
    assert caches in path.parents


def test_nothing_is_written_if_python_shall_write_no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    compile_agent(ARCHIVE)
    assert not compiled_file(ARCHIVE).exists()


def test_a_place_where_nothing_can_be_written_is_no_error(caches: Path) -> None:
    caches.write_text("a file")
    compile_agent(ARCHIVE)
    assert not compiled_file(ARCHIVE).exists()


def test_nothing_is_compiled_if_the_file_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    path = compiled_file(ARCHIVE)
    path.with_name(f"{path.name}.{os.getpid()}").mkdir(parents=True)  # root may write into every directory
    asked = list[Path]()
    monkeypatch.setattr(compiled, "_compiled", asked.append)
    compile_agent(ARCHIVE)
    assert (asked, path.exists()) == ([], False)


def test_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_agent(ARCHIVE)
    monkeypatch.setattr(compiled, "_compiled", lambda _: pytest.fail("again"))
    compile_agent(ARCHIVE)


def test_no_other_archive_has_such_a_file(tmp_path: Path) -> None:
    other = tmp_path / "agent.sh"
    for content in (ARCHIVE.read_bytes(), b"#!/bin/sh\n"):
        other.write_bytes(content)
        compile_agent(other)
        assert compiled_file(other) == Path(os.devnull)

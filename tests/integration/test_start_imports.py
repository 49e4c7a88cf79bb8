"""What takes long to import is not imported by a program, or a way to use it, that does not need it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminals import ROOT, environment, other_reflector
from tests.waiting import PATIENCE

HEAVY = {
    *("asyncio", "asyncssh", "bcrypt", "configargparse", "cryptography", "ctypes", "dataclasses", "email", "fsspec"),
    *("gevent", "inspect", "tempfile", "traceback"),
    *("geventwebsocket", "http.client", "importlib.metadata", "kubernetes", "pkg_resources", "prometheus_client"),
    *("redis", "requests", "ssl", "structlog", "urllib.request", "urllib3", "uuid", "websockets", "zipfile"),
    *("agent.sftp.serve", "agent.streams.forwards", "agent.wrap.main", "medusa.transports.tls"),
}
"""Modules that take milliseconds to import, each, and packages that take tenths of a second."""

OPTIONS = {"configargparse", "ctypes"}
"""What reads options, and what keeps secrets out of core dumps."""

PRINT_IMPORTED = """
import importlib, json, sys
before = set(sys.modules)
try:
    status = importlib.import_module(sys.argv[1]).main(sys.argv[2:])
except SystemExit as end:
    status = end.code
sys.stderr.write("\\n" + json.dumps([status, sorted(set(sys.modules) - before)]))
"""


def imported(home: Path, module: str, *arguments: str) -> set[str]:
    """Runs the program whose function `main` is in `module`. Returns the modules of HEAVY that it has imported."""
    command = [sys.executable, "-c", PRINT_IMPORTED, module, *arguments]
    run = subprocess.run(command, capture_output=True, env=environment(home), cwd=ROOT, timeout=6 * PATIENCE)
    status, modules = json.loads(run.stderr.splitlines()[-1])
    assert not status
    return HEAVY & set(modules)


@pytest.mark.parametrize(
    ("module", "arguments", "needed"),
    [
        ("medusa.commands.main", ["--version"], set()),
        ("medusa.commands.main", ["--help"], set()),
        ("medusa.commands.mlogin", ["--version"], OPTIONS),
        ("medusa.commands.mlogin", ["--help"], OPTIONS),
        ("medusa.commands.main", ["ls", "--help"], OPTIONS),
        ("medusa.commands.main", ["reflector", "--help"], OPTIONS),
    ],
)
def test_a_program_that_only_tells_about_itself(
    home: Path, module: str, arguments: list[str], needed: set[str]
) -> None:
    assert imported(home, module, *arguments) <= needed


def test_a_command_through_a_reflector_without_tls(home: Path) -> None:
    with other_reflector() as url:
        assert imported(home, "medusa.commands.mlogin", "--reflector", url, "-c", "true") <= OPTIONS


def test_an_agent(home: Path) -> None:
    assert not imported(home, "agent.__main__", "--version")


AFTER_THE_START = {"medusa.client.login.course", "medusa.client.session.reconnect", "medusa.transports.link"}
"""Modules that only the session needs. They are imported while the reflector and the job start."""

PRINT_IMPORTED_FIRST = """
import json, subprocess, sys
begin = subprocess.Popen.__init__
def note(*given, **named):
    sys.stderr.write("\\n" + json.dumps(sorted(sys.modules)) + "\\n")
    return begin(*given, **named)
subprocess.Popen.__init__ = note
from medusa.commands.mlogin import main
sys.exit(main(["-c", "true"]))
"""


def test_reflector_and_job_start_before_the_imports_of_the_session(home: Path) -> None:
    command = [sys.executable, "-c", PRINT_IMPORTED_FIRST]
    run = subprocess.run(command, capture_output=True, env=environment(home), cwd=ROOT, timeout=6 * PATIENCE)
    assert run.returncode == 0
    started = [set(json.loads(line)) for line in run.stderr.splitlines() if line.startswith(b"[")]
    assert len(started) == 2
    assert not any(AFTER_THE_START & modules for modules in started)

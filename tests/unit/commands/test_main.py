"""`medusa`: every command is found, nothing else is accepted, and nothing is imported that gevent must patch first."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from medusa import __version__
from medusa.commands import main as medusa

MUST_BE_PATCHED_FIRST = {"queue", "select", "selectors", "signal", "socket", "ssl", "subprocess", "threading"}


def add_command(monkeypatch: pytest.MonkeyPatch, status: int | None) -> list[list[str]]:
    """Makes `medusa fake` a command that returns `status`; returns where its calls are noted."""
    calls: list[list[str]] = []

    def fake(arguments: list[str]) -> int | None:
        calls.append(arguments)
        return status

    module = ModuleType("medusa.commands.fake")
    vars(module)["main"] = fake
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(medusa.COMMANDS, "fake", medusa.Command("does nothing", module.__name__))
    return calls


@pytest.mark.parametrize(("returned", "status"), [(0, 0), (3, 3), (None, 0)])
def test_a_command_gets_its_arguments_and_gives_its_status(
    monkeypatch: pytest.MonkeyPatch, returned: int | None, status: int
) -> None:
    calls = add_command(monkeypatch, returned)
    assert medusa.main(["fake", "--port", "0", "--help"]) == status
    assert calls == [["--port", "0", "--help"]]


def test_control_c_ends_a_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_command(monkeypatch, 0)

    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    vars(sys.modules["medusa.commands.fake"])["main"] = interrupted
    assert medusa.main(["fake"]) == 130
    assert capsys.readouterr().err == "medusa fake: ended by SIGINT\n"


def test_arguments_default_to_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = add_command(monkeypatch, 0)
    monkeypatch.setattr(sys, "argv", ["medusa", "fake", "x"])
    assert medusa.main() == 0
    assert calls == [["x"]]


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_names_every_command(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert medusa.main([word]) == 0
    out, err = capsys.readouterr()
    assert all(f"\n  {name} " in out for name in medusa.COMMANDS)
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no command given"),
        (["refector"], "unknown command 'refector'; did you mean reflector?"),
        (["--port", "0"], "unknown option '--port'"),
        (["__init__"], "unknown command '__init__'"),
        (["../main"], "unknown command '../main'"),
        (["\x1b[2J"], r"unknown command '\x1b[2J'"),
    ],
)
def test_anything_else_is_refused_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert medusa.main(arguments) == medusa.USAGE_ERROR
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"medusa: {complaint}\n\nusage: medusa ")


def test_version_of_the_module_run_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "medusa", "--version"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"medusa {__version__}\n", "")


@pytest.mark.parametrize("name", sorted(medusa.COMMANDS))
def test_every_command_has_its_module(name: str) -> None:
    assert callable(importlib.import_module(medusa.COMMANDS[name].module).main)


def test_nothing_is_imported_that_must_be_patched_first() -> None:
    script = "import sys; before = set(sys.modules); import medusa.commands.main; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "medusa.commands.main" in imported
    assert not MUST_BE_PATCHED_FIRST & imported

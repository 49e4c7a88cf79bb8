"""The launchers by their names. Those of other packages are in tests/integration/test_mlogin_plugins.py."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from medusa.client import launchers
from medusa.client.launchers.base import Launcher
from medusa.client.outcome import Failure


def test_a_short_name() -> None:
    assert launchers.find("k8s") is launchers.find("kubernetes")


def test_an_unknown_name_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(Failure, match=r"there is no launcher `slrum`; there are .*; did you mean slurm"):
        launchers.find("slrum")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ssh:alice@host", "ssh"),
        ("slurm:", "slurm"),
        ("k8s:pod/container", "kubernetes"),
        ("manta:/alice/stor/a:b", "manta"),
        ("ssh", None),
        ("slrum:1", None),
        ("held:1", None),
        (":", None),
        ("/alice/stor/ssh:b", None),
        ("Ssh:host", None),
    ],
)
def test_what_names_a_launcher(text: str, name: str | None) -> None:
    assert launchers.of_target(text) == name


@pytest.mark.parametrize("name", launchers.names())
def test_the_help_of_each(name: str) -> None:
    launcher = launchers.find(name)
    lines = launcher.help().splitlines()
    assert lines[0].startswith("usage: mlogin ")
    assert any(f"--launcher {name}" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)
    assert ("go after --" in launcher.help() or name == "kubernetes") == bool(launcher.options_of)


def test_the_help_of_a_launcher_that_has_none() -> None:
    class Nice(Launcher):
        """Runs it with low priority."""

        name = "nice"
        target = ""

    assert Nice.help() == "usage: mlogin nice: [OPTION...] [-- OPTION OF THE LAUNCHER...]\n\nRuns it with low priority."


@pytest.mark.parametrize(
    ("file", "text", "may"),
    [
        ("a-1.dist-info/entry_points.txt", "[medusa.launchers]\nx = x:y\n", True),
        ("a.egg-info/entry_points.txt", "[medusa.launchers]\nx = x:y\n", True),
        ("EGG-INFO/entry_points.txt", "[medusa.launchers]\nx = x:y\n", True),
        ("a-1.dist-info/entry_points.txt", "[console_scripts]\nx = x:y\n", False),
        ("a-1.dist-info/METADATA", "Name: medusa.launchers\n", False),
        ("b.egg-info", "[medusa.launchers]\n", False),
    ],
)
def test_packages_are_searched_only_if_a_file_names_the_group(
    file: str, text: str, may: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "missing"), str(tmp_path)])
    assert asked(monkeypatch) == ["medusa.launchers"] * may


def test_packages_in_a_zip_file_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a.zip")])
    assert asked(monkeypatch) == ["medusa.launchers"]


def test_packages_of_another_finder_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_distributions=list), *sys.meta_path])
    assert asked(monkeypatch) == ["medusa.launchers"]


def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups of entry points for which all packages are searched."""
    groups: list[str] = []

    def entry_points(group: str) -> list[object]:
        groups.append(group)
        return []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    launchers.names()
    return groups

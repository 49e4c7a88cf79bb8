"""The launchers by their names. Those of other packages are in tests/integration/test_mlogin_plugins.py."""

from __future__ import annotations

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

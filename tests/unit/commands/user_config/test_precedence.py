from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medusa.client.launchers import EXISTING
from medusa.commands import mlogin
from tests.unit.commands.conftest import Complaint

TEXT = """\
reflector = https://r
launcher = slurm
launcher-arg = --partition=gpu
disk = 8
archive = x.sh
[box]
target = ssh:box
[mine]
launcher = ssh
launcher-arg = -p2222
target = box
[held]
session = s
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(TEXT)
    monkeypatch.setenv("MEDUSA_CONFIG", str(path))


@pytest.mark.parametrize(
    ("words", "launcher", "arguments", "disk", "archive"),
    [
        ("", "slurm", ("--partition=gpu",), None, "x.sh"),
        ("slurm:", "slurm", ("--partition=gpu",), None, "x.sh"),
        ("--launcher manual", "manual", (), None, "x.sh"),
        ("--launcher manual --launcher-arg x --disk 4", "manual", ("x",), 4, "x.sh"),
        ("ssh:box", "ssh", (), None, "x.sh"),
        ("box", "ssh", (), None, "x.sh"),
        ("mine", "ssh", ("-p2222",), None, "x.sh"),
        ("--profile mine --launcher slurm", "slurm", (), None, "x.sh"),
        ("-u https://m --launcher manta", "manta", (), 8, "x.sh"),
        ("--session s", EXISTING, (), None, None),
        ("--session s --archive y", EXISTING, (), None, "y"),
        ("held", EXISTING, (), None, None),
    ],
)
def test_what_the_file_says_to_one_launcher_is_for_that_one(
    words: str, launcher: str, arguments: tuple[str, ...], disk: Any, archive: str | None
) -> None:
    found = mlogin.parse(words.split())
    assert (found.launcher, found.arguments, found.manta.disk) == (launcher, arguments, disk)
    assert found.archive == archive


def test_a_launcher_beside_a_session(monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    """The one that counts more is taken: a line that a hold prints works, whatever the file says."""
    monkeypatch.setenv("MEDUSA_SESSION", "variable")
    assert mlogin.parse([]).session == "variable"
    assert mlogin.parse(["--launcher", "slurm"]).session is None
    monkeypatch.setenv("MEDUSA_LAUNCHER", "slurm")
    assert "not both" in complaint(mlogin.parse, [], 255)
    assert mlogin.parse(["--session", "typed"]).session == "typed"

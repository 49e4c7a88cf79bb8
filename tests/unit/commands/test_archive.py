from __future__ import annotations

import os
from pathlib import Path

import pytest

from medusa.client import archive as carried
from medusa.commands import archive
from tests.unit.commands.conftest import Complaint

CONTENT = b"#!/bin/sh\nexit 0\n\xff"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "carried.sh"
    path.write_bytes(CONTENT)
    monkeypatch.setattr(carried, "CARRIED", path)
    return path


def test_to_a_file_that_can_be_executed(tmp_path: Path) -> None:
    target = tmp_path / "out.sh"
    assert archive.main(["-o", str(target)]) == 0
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("arguments", [[], ["-o", "-"]])
def test_to_standard_output(arguments: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert archive.main(arguments) == 0
    assert capfdbinary.readouterr() == (CONTENT, b"")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.sh"
    target.write_text("old")
    with target.open() as reader:
        assert archive.main(["-o", str(target)]) == 0
        assert reader.read() == "old"
    assert target.read_bytes() == CONTENT


def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    target = tmp_path / "there" / "out.sh"
    target.parent.mkdir()
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    said = complaint(archive.main, ["-o", str(target)], 1)
    assert said == f"medusa archive: {target}: No space left on device\n"
    assert [path.name for path in target.parent.iterdir()] == ["out.sh"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(("name", "why"), [("none/x", "No such file or directory"), ("there", "Is a directory")])
def test_a_file_that_cannot_be_made_is_named_with_the_reason(
    tmp_path: Path, complaint: Complaint, name: str, why: str
) -> None:
    (tmp_path / "there").mkdir()
    assert complaint(archive.main, ["-o", f"{tmp_path}/{name}"], 1) == f"medusa archive: {tmp_path}/{name}: {why}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["carried.sh", "there"]


def test_none_to_write_is_a_clear_error(installed: Path, complaint: Complaint) -> None:
    installed.unlink()
    assert "make archive" in complaint(archive.main, [], 1)

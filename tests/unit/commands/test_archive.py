from __future__ import annotations

import os
from pathlib import Path

import pytest

from medusa.client import archive as carried
from medusa.commands import archive

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "there" / "out.sh"
    target.parent.mkdir()
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert archive.main(["-o", str(target)]) == 1
    assert capsys.readouterr().err == f"medusa archive: {target}: No space left on device\n"
    assert [path.name for path in target.parent.iterdir()] == ["out.sh"]
    assert target.read_text() == "old"


def test_a_file_that_cannot_be_made_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert archive.main(["-o", "/nonexist/x"]) == 1
    assert capsys.readouterr() == ("", "medusa archive: /nonexist/x: No such file or directory\n")


def test_a_directory_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").mkdir()
    assert archive.main(["-o", str(tmp_path / "there")]) == 1
    assert capsys.readouterr().err == f"medusa archive: {tmp_path}/there: Is a directory\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["carried.sh", "there"]


def test_none_to_write_is_a_clear_error(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed.unlink()
    assert archive.main([]) == 1
    assert "make archive" in capsys.readouterr().err

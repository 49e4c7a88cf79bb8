from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from medusa.client import archive
from medusa.commands import publish
from tests.unit.commands.conftest import Complaint


@pytest.fixture(autouse=True)
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "carried.sh"
    path.write_bytes(b"carried")
    monkeypatch.setattr(archive, "CARRIED", path)
    return path


def test_the_archive_carried_along_or_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, mine = tmp_path / "there.sh", tmp_path / "mine.sh"
    mine.write_bytes(b"mine")
    assert publish.main([str(target)]) == 0
    assert target.read_bytes() == b"carried"
    assert publish.main(["--archive", str(mine), str(target)]) == 0
    assert target.read_bytes() == b"mine"
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("published 7 bytes, sha256 ")
    assert second.startswith("published 4 bytes, sha256 ")
    assert second.endswith(f", at {target}")


def test_no_archive(complaint: Complaint, carried: Path) -> None:
    assert "no agent archive at" in complaint(publish.main, ["--retry", "0", "--archive", "/none.sh", "there.sh"], 1)
    carried.unlink()
    assert "make archive" in complaint(publish.main, ["there.sh"], 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-a", "", "-k", "k", "-u", "https://h"], "--account LOGIN or set MANTA_USER"),
        (["-a", "l", "-k", "k"], "or set MANTA_URL"),
        (["-a", "l", "-k", "/nonexist/key", "-u", "https://h"], "/nonexist/key"),
    ],
)
def test_what_a_manta_needs_is_asked_for(complaint: Complaint, options: list[str], words: str) -> None:
    assert words in complaint(publish.main, [*options, "manta:/l/public/x"], 1)


def test_not_again_what_cannot_be(complaint: Complaint) -> None:
    assert "no kind of store" in complaint(publish.main, ["--retry", "0", "nonsense://x"], 1)


@pytest.mark.parametrize("behind", [b"\r\nmore", b""])
def test_the_url_by_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bytes) -> None:
    stdin = io.BytesIO(f"{tmp_path}/there.sh".encode() + behind)
    monkeypatch.setattr(os, "read", lambda _, size: stdin.read(size))
    assert publish.main(["-"]) == 0
    assert (tmp_path / "there.sh").read_bytes() == b"carried"


@pytest.mark.parametrize("text", [b"", b" \n"])
def test_no_url_by_standard_input(complaint: Complaint, monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    stdin = io.BytesIO(text)
    monkeypatch.setattr(os, "read", lambda _, size: stdin.read(size))
    assert "medusa publish: no URL on standard input" in complaint(publish.main, ["-"], 1)


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], ["--retry", "x", "y"], ["--retry", "-1", "y"], ["--colour", "y"]]
)
def test_wrong_usage(arguments: list[str], complaint: Complaint) -> None:
    assert "try 'medusa publish --help'" in complaint(publish.main, arguments, 2)

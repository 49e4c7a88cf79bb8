from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from medusa.client import archive
from medusa.commands import publish


@pytest.fixture(autouse=True)
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "carried.sh"
    path.write_bytes(b"carried")
    monkeypatch.setattr(archive, "CARRIED", path)
    return path


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Complaint:
    return Complaint(capsys)


class Complaint:
    """What a command line that fails says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        assert publish.main(arguments) == 1
        out, err = self._capsys.readouterr()
        assert out == ""
        assert err.startswith("medusa publish: ")
        return err


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


def test_no_archive(complaint: Complaint, carried: Path, tmp_path: Path) -> None:
    assert "no agent archive at" in complaint("--retry", "0", "--archive", str(tmp_path / "none.sh"), "there.sh")
    carried.unlink()
    assert "make archive" in complaint("there.sh")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-k", "k", "-u", "https://h"], "--account LOGIN or set MANTA_USER"),
        (["-a", "l", "-u", "https://h"], "or set MANTA_KEY_ID"),
        (["-a", "l", "-k", "k"], "or set MANTA_URL"),
        (["-a", "l", "-k", "/nonexist/key", "-u", "https://h"], "/nonexist/key"),
    ],
)
def test_what_a_manta_needs_is_asked_for(complaint: Complaint, options: list[str], words: str) -> None:
    assert words in complaint(*options, "manta:/l/public/x")


def test_not_again_what_cannot_be(complaint: Complaint) -> None:
    assert "no kind of store" in complaint("--retry", "0", "nonsense://x")


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
    assert "no URL on standard input" in complaint("-")


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], ["--retry", "x", "y"], ["--retry", "-1", "y"], ["--colour", "y"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        publish.main(arguments)
    assert caught.value.code == 2
    assert "try 'medusa publish --help'" in capsys.readouterr().err

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from agent import unpacked

TEXT = "#!/bin/sh\n# Medusa agent 1.2\n# self={}\nmedusa_agent() {{\n}}\nmedusa_agent\n"


def archive(path: Path) -> bytes:
    text = TEXT.format("0" * 64)
    data = TEXT.format(hashlib.sha256(text.encode()).hexdigest()).encode()
    path.write_bytes(data)
    return data


def test_whole_archive(tmp_path: Path) -> None:
    path = tmp_path / "a"
    archive(path)
    assert not unpacked.is_damaged(str(path))


def test_any_broken_byte_shows(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = archive(path)
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert unpacked.is_damaged(str(path)), at


def test_what_stands_before_the_archive_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = archive(path)
    before = b"#!/bin/sh\n# self=" + b"1" * 64 + b"\nMEDUSA_CONFIG='x'; export MEDUSA_CONFIG\n"
    path.write_bytes(before + data)
    assert not unpacked.is_damaged(str(path))
    for at in range(len(data)):
        path.write_bytes(before + data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert unpacked.is_damaged(str(path)), at


@pytest.mark.parametrize("content", [b"", b"\x7fELF not ours"])
def test_file_of_somebody_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sh"
    path.write_bytes(content)
    assert not unpacked.is_damaged(str(path))


@pytest.mark.parametrize("name", ["", "no/such/file", "/", "\0"])
def test_no_file(name: str) -> None:
    assert not unpacked.is_damaged(name)


def test_removal(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    (directory / "a" / "b").mkdir(parents=True)
    (directory / "a" / "b" / "c").write_text("")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    os.symlink(outside / "kept", directory / "link")
    unpacked.remove(str(directory))
    assert not directory.exists()
    assert (outside / "kept").exists()
    unpacked.remove(str(directory))


def test_somebody_elses_directory_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.__main__.main", lambda: 42)
    monkeypatch.setenv("MEDUSA_UNPACKED", str(tmp_path))
    monkeypatch.setenv("MEDUSA_SELF", "/no/such/file")
    (tmp_path / "kept").write_text("")
    assert unpacked.run() == 42
    assert (tmp_path / "kept").exists()
    assert "MEDUSA_UNPACKED" not in os.environ
    assert "MEDUSA_SELF" not in os.environ


def test_damaged_archive_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(archive(path) + b"\n")
    monkeypatch.setattr("agent.__main__.main", lambda: 42)
    monkeypatch.setenv("MEDUSA_SELF", str(path))
    assert unpacked.run() == unpacked.DAMAGED

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
import types
from pathlib import Path

import pytest

from agent import archived

TEXT = "#!/bin/sh\n# Medusa agent 1.2\n# self={}\nmedusa_agent() {{\n}}\nmedusa_agent\n"


def archive(path: Path) -> bytes:
    text = TEXT.format("0" * 64)
    data = TEXT.format(hashlib.sha256(text.encode()).hexdigest()).encode()
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n# self=" + b"1" * 64 + b"\nMEDUSA_CONFIG='x'\n"])
def test_any_broken_byte_shows_but_not_what_stands_before(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "a"
    data = archive(path)
    path.write_bytes(before + data)
    assert not archived.is_damaged(str(path))
    for at in range(len(data)):
        path.write_bytes(before + data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert archived.is_damaged(str(path)), at


@pytest.mark.parametrize("content", [b"", b"\x7fELF not ours"])
def test_file_of_somebody_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sh"
    path.write_bytes(content)
    assert not archived.is_damaged(str(path))


@pytest.mark.parametrize("name", ["", "no/such/file", "/", "\0"])
def test_no_file(name: str) -> None:
    assert not archived.is_damaged(name)


FILES = {
    "travels/__init__.py": b"from travels.part import VALUE\n",
    "travels/part.py": b"VALUE = 42\ndef fail():\n    raise ValueError('here')\n",
    "travels/LICENSE": b"text",
}


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> archived.Importer:
    """Modules of FILES can be imported, and are forgotten in the end."""
    importer = archived.Importer(FILES)
    monkeypatch.setattr("sys.meta_path", [importer, *sys.meta_path])
    for name in ("travels", "travels.part"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        del sys.modules[name]
    return importer


@pytest.mark.usefixtures("imports")
def test_import_from_memory() -> None:
    package = importlib.import_module("travels")
    assert package.VALUE == 42
    assert package.part.__file__ == "agent.sh/travels/part.py"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("travels.LICENSE")


@pytest.mark.usefixtures("imports")
def test_traceback_has_the_lines_of_the_source() -> None:
    try:
        importlib.import_module("travels.part").fail()
    except ValueError:
        text = traceback.format_exc()
    assert 'File "agent.sh/travels/part.py", line 3, in fail\n    raise ValueError' in text


def test_no_source_of_what_does_not_travel(imports: archived.Importer) -> None:
    with pytest.raises(ImportError):
        imports.get_source("json")


def test_list_and_extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def main(*words: str) -> int:
        monkeypatch.setenv("MEDUSA_SELF", "sh")
        return archived.main(FILES, ["sh", *words])

    assert main("--list") == 0
    assert capsys.readouterr().out.split() == list(FILES)
    assert main("--extract", str(tmp_path / "new")) == 0
    found = {str(path.relative_to(tmp_path / "new")): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert found == {name: data for name, data in FILES.items() if "." in name}
    assert main("--extract", str(tmp_path / "new")) == archived.NO_ROOM
    assert capsys.readouterr().err.endswith("new/travels/__init__.py: exists already\n")
    assert main("--extract", "/dev/null") == archived.NO_ROOM
    assert "cannot unpack: /dev/null" in capsys.readouterr().err
    assert main("--extract") == main("--extract", "--help") == archived.BAD_USAGE


def test_damaged_archive_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(archive(path) + b"\n")
    monkeypatch.setenv("MEDUSA_SELF", str(path))
    assert archived.main(FILES, [str(path), "--list"]) == archived.DAMAGED


@pytest.mark.parametrize(("told", "words"), [("sh", ["bash"]), (None, ["sh"]), ("sh", [])])
def test_two_names_of_the_file_must_agree(monkeypatch: pytest.MonkeyPatch, told: str | None, words: list[str]) -> None:
    monkeypatch.delenv("MEDUSA_SELF", raising=False)
    if told is not None:
        monkeypatch.setenv("MEDUSA_SELF", told)
    assert archived.main(FILES, [*words, "--list"]) == archived.DAMAGED

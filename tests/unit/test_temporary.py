from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from medusa.temporary import temporary_directory


@pytest.mark.parametrize("variable", ["TMPDIR", "TEMP", "TMP", None])
@pytest.mark.parametrize("place", ["there", "missing", "./there", ""])
def test_the_same_directory_as_that_of_tempfile(
    variable: str | None, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, place if place.startswith(".") or not place else str(tmp_path / place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert temporary_directory() == tempfile.gettempdir()

from __future__ import annotations

from pathlib import Path

import pytest

from medusa.client import archive
from medusa.client.outcome import Failure


def test_the_one_carried_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "CARRIED", tmp_path / "agent.sh")
    with pytest.raises(Failure, match="make archive"):
        archive.find_archive()
    (tmp_path / "agent.sh").touch()
    assert archive.find_archive() == tmp_path / "agent.sh"


def test_another_one(tmp_path: Path) -> None:
    (tmp_path / "other.sh").touch()
    assert archive.find_archive(str(tmp_path / "other.sh")) == tmp_path / "other.sh"
    with pytest.raises(Failure, match=r"no agent archive at .*none\.sh$"):
        archive.find_archive(str(tmp_path / "none.sh"))

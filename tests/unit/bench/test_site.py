"""The directory of several reflectors, without a redis-server."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from bench import site
from bench.toolchain import Unavailable


def test_without_redis_it_is_unavailable_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Unavailable, match="apt-get install redis-server"), site.shared(None):
        pass
    assert not list(tmp_path.iterdir())


def test_redis_serves_this_host_alone_and_saves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool, **_: f"/bin/{tool}")
    command = site.redis_command(tmp_path, 1)
    assert command[0] == "/bin/redis-server"
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {
        "--bind": "127.0.0.1",
        "--port": "1",
        "--dir": str(tmp_path),
        "--save": "",
        "--appendonly": "no",
        "--daemonize": "no",
    }

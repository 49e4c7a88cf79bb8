from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from medusa.client.queries.local import announced, is_over, sessions

ENTRY: dict[str, Any] = {"id": "a/b", "name": "train", "created": 1.5, "reflector": "http://127.0.0.1:1"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_it_is_there_as_long_as_mlogin_is(environ: dict[str, str], tmp_path: Path) -> None:
    assert sessions(environ) == []
    older = {**ENTRY, "id": "0", "created": 1}
    with announced(ENTRY, environ), announced(older, environ):
        assert sessions(environ) == [older, ENTRY]
        assert not is_over("a/b", environ)
        files = list(tmp_path.rglob("*"))
        assert {path.stat().st_mode & 0o777 for path in files} == {0o700, 0o600}
    assert list(tmp_path.iterdir()) == []
    assert is_over("a/b", environ)


@pytest.mark.parametrize("by", ["a list", "the next mlogin"])
def test_what_a_killed_mlogin_has_left_is_removed(by: str, environ: dict[str, str], tmp_path: Path) -> None:
    if os.fork() == 0:
        with announced(ENTRY, environ):
            os._exit(0)
    os.wait()
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert is_over("a/b", environ)
    with contextlib.nullcontext() if by == "a list" else announced({**ENTRY, "id": "next"}, environ):
        assert len(sessions(environ)) == (by != "a list")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unsafe", ["others may read", "a link", "no directory"])
def test_no_file_where_others_could_read_it(unsafe: str, environ: dict[str, str], tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "medusa", tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if unsafe == "others may read":
        place.mkdir()
        place.chmod(0o750)
    elif unsafe == "a link":
        place.symlink_to(elsewhere)
    else:
        environ["XDG_RUNTIME_DIR"] = str(tmp_path / "nowhere")
    with announced(ENTRY, environ):
        assert list(tmp_path.rglob("*.json")) == []
        assert sessions(environ) == []


def test_what_is_no_entry_is_ignored(environ: dict[str, str], tmp_path: Path) -> None:
    with announced({**ENTRY, "reflector": 7}, environ), announced({**ENTRY, "id": "x\x1b"}, environ):
        assert sessions(environ) == []

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from medusa.client.launchers.ssh.connection import Connection, socket_directory
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure


def test_a_short_temporary_directory_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert socket_directory() == Path("/var/tmp")


def test_a_long_temporary_directory_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ("x" * 100)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert socket_directory() == Path("/tmp")


def test_a_connection_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    Connection("node", [], tmp_path, Ledger(None)).close()


def test_the_words_of_a_failed_ssh_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nprintf 'no \\033 route\\n' >&2; exit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    connection = Connection("node", [], tmp_path, Ledger(None))
    try:
        with pytest.raises(Failure, match="no connection to node: ssh ended with status 255"):
            connection.open()
    finally:
        connection.close()
    assert "route" in capfd.readouterr().err
    assert connection.last_lines == ["no \\x1b route"]

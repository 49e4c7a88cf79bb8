from __future__ import annotations

import os
from pathlib import Path

import pytest

from medusa.reflector.config import ConfigError
from medusa.reflector.tickets.key import KEY_FILE, ticket_key


def test_the_key_in_the_state_directory_stays_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    key = ticket_key(b"", str(folder))
    assert ticket_key(b"", str(folder)) == key
    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [(KEY_FILE, 0o600)]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert key.hex() not in (folder / KEY_FILE).read_text()


def test_the_secret_of_the_site_comes_first(tmp_path: Path) -> None:
    assert ticket_key(b"s" * 16, None) == ticket_key(b"s" * 16, str(tmp_path)) != ticket_key(b"t" * 16, None)


def test_without_either_it_is_random() -> None:
    assert ticket_key(b"", None) != ticket_key(b"", None)


def test_a_state_directory_that_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    ticket_key(b"", str(tmp_path))
    path = tmp_path / KEY_FILE
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        ticket_key(b"", str(tmp_path))
    path.chmod(0o600)
    path.write_text("short\n")
    with pytest.raises(ConfigError, match="is not the key of tickets"):
        ticket_key(b"", str(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write there"):
        ticket_key(b"", str(tmp_path))


@pytest.mark.parametrize("name", ["file", "file/below", "no/parent"])
def test_what_is_no_directory_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=os.path.join("state-dir: .*", name)):
        ticket_key(b"", str(tmp_path / name))

"""The host key of the user's own: made once, for its user alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medusa.client.outcome import Failure
from medusa.client.ssh.host_key import host_key


def test_it_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "state" / "medusa"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: host_key(place), range(8)))
    assert len(keys) == 1
    key = keys.pop()
    assert key.known_hosts.read_text() == f"*.medusa {key.public}\n"
    assert key.public.startswith("ssh-ed25519 AAAA")
    assert {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()} == {
        "ssh_host_ed25519_key": 0o600,
        "known_hosts": 0o600,
    }


def test_errors_name_the_file(tmp_path: Path) -> None:
    host_key(tmp_path)
    path = tmp_path / "ssh_host_ed25519_key"
    path.chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        host_key(tmp_path)
    path.chmod(0o600)
    path.write_text("x")
    with pytest.raises(Failure, match=f"{path} is no ed25519 key"):
        host_key(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="File exists"):
        host_key(tmp_path / "file")

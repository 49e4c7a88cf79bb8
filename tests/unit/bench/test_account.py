"""The account whose requests the load generator signs."""

from __future__ import annotations

from pathlib import Path

from bench import account
from medusa.reflector.auth.accounts import Accounts


def test_the_key_is_found_by_its_name_and_stays_the_same(tmp_path: Path) -> None:
    made = account.made(tmp_path / "build")
    _, login, _, fingerprint = made.key_id.split("/", 3)
    assert Accounts(str(made.directory)).find(login, None, fingerprint) is not None
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert account.made(tmp_path / "build") == made

from __future__ import annotations

import pytest

from medusa.directory.base import Claim, Owner
from medusa.directory.seal import Seal
from medusa.directory.tokens import lease_of, made_at, new_lease, new_token

NOW = 1_800_000_000.9


@pytest.mark.parametrize("lease", ["", "00000000", "00c0ffee"])
def test_what_was_put_in_is_read(lease: str) -> None:
    tokens = {new_token(NOW, lease) for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert len(token) == 32
        assert made_at(token) == int(NOW)
        assert lease_of(token) == lease


def test_a_lease_has_a_new_id() -> None:
    assert len({new_lease() for _ in range(100)}) == 100
    assert lease_of(new_token(NOW, new_lease())) != ""


def test_each_changed_digit_is_noticed() -> None:
    token = new_token(NOW, "00c0ffee")
    for at in range(len(token)):
        assert lease_of(token[:at] + ("0" if token[at] != "0" else "1") + token[at + 1 :]) == ""


@pytest.mark.parametrize("token", ["", "0", "older", "ab" * 16, "ab" * 8, "00" * 12 + "x"])
def test_tokens_of_other_forms_name_no_lease(token: str) -> None:
    assert lease_of(token) == ""


def test_a_reflector_of_the_version_before_reads_the_entry() -> None:
    """Its form is the same: to that version, the lease is a part of the token like any other."""
    claim = Claim("id", Owner("http://node1.example:8381"), new_token(NOW, "00c0ffee"))
    seal = Seal(b"secret")
    plain = Claim("id", claim.owner, new_token(NOW))
    assert len(seal.entry(b"key", claim)) == len(seal.entry(b"key", plain))
    assert seal.read(b"key", "id", seal.entry(b"key", claim)) == claim

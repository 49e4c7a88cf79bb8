from __future__ import annotations

from medusa.directory.base import TTL, Claim, Directory, Owner, SessionExists


def test_a_dead_reflectors_ids_are_free_within_a_minute() -> None:
    assert TTL == 60


def test_a_claim_is_told_from_another_by_its_token_alone() -> None:
    owner = Owner("127.0.0.1:8381")
    assert Claim("s", owner, "a") == Claim("s", Owner("127.0.0.1:8381"), "a")
    assert Claim("s", owner, "a") != Claim("s", owner, "b")


def test_who_holds_the_id_is_told_but_not_in_the_text_that_peers_see() -> None:
    error = SessionExists(Claim("s", Owner("10.0.0.1:8381"), "token"))
    assert error.owner.address == "10.0.0.1:8381"
    assert "10.0.0.1" not in str(error)
    assert "token" not in str(error)


def test_what_a_store_must_implement() -> None:
    assert Directory.__abstractmethods__ == {"claim", "inherit", "renew", "release", "lookup", "entries"}

from __future__ import annotations

from medusa.directory.base import Claim, Owner, SessionExists


def test_the_text_that_a_peer_sees_does_not_say_who_holds_the_id() -> None:
    error = SessionExists(Claim("s", Owner("10.0.0.1:8381"), "token"))
    assert error.owner.address == "10.0.0.1:8381"
    assert "10.0.0.1" not in str(error)
    assert "token" not in str(error)

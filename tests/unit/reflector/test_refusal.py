from __future__ import annotations

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.reflector.auth.denials import denied
from medusa.reflector.refusal import Refusal


def test_the_log_may_say_more_than_the_peer_is_told() -> None:
    refusal = denied(404, "for the peer", "for the log")
    assert (refusal.words, refusal.log_words, str(refusal)) == ("for the peer", "for the log", "for the peer")
    assert Refusal(409, "the same for both").log_words == "the same for both"


def test_headers_of_the_answer() -> None:
    assert Refusal(503, "busy", retry_after=5).headers == [("Retry-After", "5")]
    assert [name for name, _ in denied(401, "sign it").headers] == ["WWW-Authenticate"]
    assert denied(403, "no").headers == []


def test_what_is_not_well_formed_becomes_a_refusal() -> None:
    refusal = Refusal.of(HandshakeError(426, "no", (("a", "b"),)))
    assert (refusal.status, refusal.words, refusal.headers, refusal.secret) == (426, "no", [("a", "b")], False)
    assert Refusal.of(refusal) is refusal


def test_a_refusal_that_is_kept_keeps_no_frames() -> None:
    with pytest.raises(Refusal) as raised:
        raise Refusal(404, "no")
    assert Refusal.of(raised.value).__traceback__ is None

"""MemoryDirectory, as far as it differs from other stores: tests/conformance tests the rest."""

from __future__ import annotations

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory


def test_an_expired_claim_is_forgotten_when_it_is_looked_up() -> None:
    now = [0.0]
    directory = MemoryDirectory(lambda: now[0])
    for number in range(100):
        directory.claim(str(number), Owner("a"), ttl=1)
    now[0] = 2
    assert [directory.lookup(str(number)) for number in range(100)] == [None] * 100
    assert directory._claims == {}


def test_tokens_cannot_be_guessed() -> None:
    directory = MemoryDirectory()
    tokens = {directory.claim(str(number), Owner("a")).token for number in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 32 for token in tokens)


def test_only_the_claims_that_begin_alike() -> None:
    directory, owner = MemoryDirectory(), Owner("a")
    for name in ("~alice/1", "~alice/2", "~bob/1"):
        directory.claim(name, owner)
    assert directory.scan("", "~alice/") == ({"~alice/1": owner, "~alice/2": owner}, "")

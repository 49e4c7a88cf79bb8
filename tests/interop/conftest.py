"""The reflector that other people's programs meet in these tests, and a Manta with its users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.relays import KINDS, Relay, running
from tests.interop.manta_users import User
from tests.manta.stand_in import Manta, manta
from tests.signing import Key


@pytest.fixture(scope="module")
def reflector() -> Iterator[Relay]:
    """A reflector process of its own for each module."""
    with running(KINDS["medusa"]) as relay:
        yield relay


@pytest.fixture(scope="module")
def store(key: Key) -> Iterator[Manta]:
    with manta() as store:
        store.add_key("jill", key.line)
        store.add_key("bob", Key("ed25519").line)
        yield store


@pytest.fixture(scope="module")
def jill(store: Manta, key: Key) -> User:
    return User(store.url, key)


@pytest.fixture(scope="module")
def nobody(store: Manta) -> User:
    return User(store.url, None)

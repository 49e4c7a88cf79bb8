"""The reflector that the tests of a module share, and the session beside each test that must notice nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reflectors import Reflector, Witness, running


@pytest.fixture(scope="module")
def shared_reflector() -> Iterator[Reflector]:
    with running() as reflector:
        yield reflector


@pytest.fixture
def reflector(shared_reflector: Reflector) -> Iterator[Reflector]:
    """Fails a test that leaves a session, or an error in the log."""
    yield shared_reflector
    shared_reflector.check()


@pytest.fixture
def witness(reflector: Reflector) -> Iterator[Witness]:
    """A linked session, which has to work before and after."""
    with reflector.pair() as (client, agent):
        witness = Witness(client, agent)
        witness.check()
        yield witness
        witness.check()

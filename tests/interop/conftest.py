"""The reflector that other people's programs meet in these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.kinds import Relay
from bench.relays import KINDS, running


@pytest.fixture(scope="module")
def reflector() -> Iterator[Relay]:
    """A reflector process of its own for each module."""
    with running(KINDS["medusa"]) as relay:
        yield relay

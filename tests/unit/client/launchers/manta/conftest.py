"""A stand-in for a Manta."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores import Store, store


@pytest.fixture
def server() -> Iterator[Store]:
    with store() as running:
        yield running

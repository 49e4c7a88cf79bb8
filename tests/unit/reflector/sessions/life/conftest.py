"""Sessions that an agent holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.reflector.sessions.holders import Holding


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Holding]:
    """A bench, with the options that the test names."""
    bench = Holding(**getattr(request, "param", {}))
    yield bench
    bench.close()

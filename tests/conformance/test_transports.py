from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from medusa.transports.base import Transport
from tests.conformance import check_transport, check_transport_ends
from tests.conformance.driving import Make
from tests.links import KINDS, Ends

CHECKS = check_transport.CHECKS + check_transport_ends.CHECKS


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Transport] = []

    def make_one(**options: int) -> Ends:
        ends: Ends = request.param(**options)
        made.extend(ends)
        return ends

    yield make_one
    for transport in made:
        transport.abort()


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS, indirect=True)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_conformance(check: Callable[[Make], None], make: Make) -> None:
    check(make)

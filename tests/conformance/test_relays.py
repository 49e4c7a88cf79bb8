from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from medusa.transports.base import Transport
from medusa.transports.relayed import RelayedTransport
from tests.conformance import check_relay
from tests.conformance.check_relay import Joined, Make
from tests.links import RELAYED


def relayed(kind: str) -> tuple[Transport, RelayedTransport]:
    peer, relay = RELAYED[kind]()
    assert isinstance(relay, RelayedTransport)
    return peer, relay


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Joined] = []

    def make_one() -> Joined:
        client, agent = request.param
        made.append(Joined(relayed(client), relayed(agent)))
        return made[-1]

    yield make_one
    for joined in made:
        joined.abort()


@pytest.mark.parametrize("make", list(itertools.product(RELAYED, RELAYED)), ids="-".join, indirect=True)
@pytest.mark.parametrize("check", check_relay.CHECKS, ids=lambda check: check.__name__[6:])
def test_conformance(check: Callable[[Make], None], make: Make) -> None:
    check(make)

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from medusa.transports.base import Transport
from medusa.transports.relayed import RelayedTransport
from tests.conformance import check_relay
from tests.conformance.check_relay import Joined, Make
from tests.links import RELAYED, Ends


def relayed(kind: Callable[[], Ends]) -> tuple[Transport, RelayedTransport]:
    peer, relay = kind()
    assert isinstance(relay, RelayedTransport)
    return peer, relay


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Joined] = []

    def make_one() -> Joined:
        client, agent = map(relayed, request.param)
        made.append(Joined(client, agent))
        return made[-1]

    yield make_one
    for joined in made:
        joined.abort()


MIXES = [(client, agent) for client in RELAYED for agent in RELAYED]


@pytest.mark.parametrize(
    "make", MIXES, ids=lambda mix: "-".join(kind.__name__.removesuffix("_client") for kind in mix), indirect=True
)
@pytest.mark.parametrize("check", check_relay.CHECKS, ids=lambda check: check.__name__[6:])
def test_conformance(check: Callable[[Make], None], make: Make) -> None:
    check(make)

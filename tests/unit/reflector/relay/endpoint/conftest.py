"""Endpoints over real sockets on the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from medusa.protocol.control import Linkup, build
from medusa.protocol.messages import Close
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.session import Side
from tests.unit.reflector.relay.endpoint.wires import Wire


@pytest.fixture
def make(queue: FairQueue) -> Iterator[Callable[..., tuple[Wire, Wire]]]:
    wires: list[Wire] = []

    def make(plain: bool = False) -> tuple[Wire, Wire]:
        """A client and an agent, linked."""
        pair = Wire(queue, Side.CLIENT, plain), Wire(queue, Side.AGENT, plain)
        wires.extend(pair)
        for one, other in (pair, pair[::-1]):
            one.endpoint.forward(other.endpoint)
            one.endpoint.start()
            one.endpoint.announce(build(Linkup()))
            one.until_received(10)
        return pair

    yield make
    for wire in wires:
        wire.endpoint.dismiss(Close(1000, ""))
        wire.peer.close()

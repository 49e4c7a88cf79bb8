from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.relay.fair_queue import FairQueue


@pytest.fixture(autouse=True)
def nothing_left_to_do() -> Iterator[None]:
    """What a test set going in the event loop ends with it: the next test's log is not to have it."""
    yield
    for _ in range(5):
        gevent.sleep(0)


@pytest.fixture
def queue() -> Iterator[FairQueue]:
    """A fair queue on the event loop."""
    queue = FairQueue(gevent.get_hub().loop)
    yield queue
    queue._idle.close()
    queue._clock.close()

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest


@pytest.fixture(autouse=True)
def nothing_left_to_do() -> Iterator[None]:
    """What a test set going in the event loop ends with it: the next test's log is not to have it."""
    yield
    for _ in range(5):
        gevent.sleep(0)

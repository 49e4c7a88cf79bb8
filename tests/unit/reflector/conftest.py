"""What tests of the reflector share: its log, a clock, the event loop, refusals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import gevent
import gevent.socket
import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from medusa.reflector.refusal import Refusal
from medusa.reflector.relay.fair_queue import FairQueue
from tests.peers import Peer
from tests.waiting import Clock, Deadline, wait_until


class GreenPeer(Peer):
    """Lets the rest of the process run while it waits."""

    def _more(self, deadline: Deadline, end_expected: bool = False) -> bool:
        gevent.socket.wait_read(self.sock.fileno(), deadline.left)
        return super()._more(deadline, end_expected)


def until(condition: Callable[[], object]) -> None:
    """Runs the event loop until `condition` holds."""
    wait_until(condition, nap=gevent.sleep)


def run_loop() -> None:
    """Runs the event loop until all that is ready is done."""
    for _ in range(5):
        gevent.sleep(0)


@contextlib.contextmanager
def refused(status: int, words: str | None = None, retry_after: int = 0) -> Iterator[None]:
    """A Refusal with this status is raised; `words`: a pattern that it matches."""
    with pytest.raises(Refusal, match=words) as caught:
        yield
    assert (caught.value.status, caught.value.retry_after) == (status, retry_after)


def errors(logs: list[EventDict]) -> list[str]:
    """What the log calls errors."""
    return [entry["event"] for entry in logs if entry["log_level"] == "error"]


@pytest.fixture(autouse=True)
def nothing_left_to_do() -> Iterator[None]:
    """What a test set going in the event loop ends with it: the next test's log is not to have it."""
    yield
    run_loop()


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue() -> Iterator[FairQueue]:
    """A fair queue on the event loop."""
    queue = FairQueue(gevent.get_hub().loop)
    yield queue
    queue._idle.close()
    queue._turn.close()
    queue._clock.close()

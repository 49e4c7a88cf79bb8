"""Two workers' channels; one worker exists, and of the other one nothing but its channel."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from medusa.reflector.workers.fd_channel import open_channel, receive, send
from medusa.reflector.workers.handoff import Handoff
from medusa.reflector.workers.rpc import OtherWorkers, Rpc
from medusa.reflector.workers.sharding import KEY_SIZE
from tests.links import unix_pair
from tests.waiting import PATIENCE

KEY = bytes(KEY_SIZE)


class TwoWorkers:
    """Worker 1 and the channels of both."""

    def __init__(self, timeout: float) -> None:
        timeouts = Timeouts(handoff_timeout=timeout, status_timeout=timeout)
        (self._own_inbox, self.to_first), (self.inbox, self.outbox) = self._channels = open_channel(), open_channel()
        self.handoff = Handoff(1, KEY, self._own_inbox, {2: self.outbox}, 60.0, timeouts)
        self.handoff.refusals = RefusalLog(ReflectorConfig(), Metrics())
        self.rpc = Rpc(self.handoff, timeouts)
        self.others = OtherWorkers(self.handoff, self.rpc)
        self._reading: gevent.Greenlet | None = None  # type: ignore[type-arg]

    def start(self) -> None:
        self._reading = gevent.spawn(self.handoff._read_forever)

    def fill(self) -> None:
        """Fills the inbox of the second worker."""
        near, far = unix_pair()
        with near, far, contextlib.suppress(BlockingIOError):
            while True:
                send(self.outbox, bytes(1000), far.fileno())

    def close(self) -> None:
        if self._reading is not None:
            self._reading.kill()
        for inbox, outbox in self._channels:
            with inbox, outbox:
                empty(inbox)


def empty(inbox: socket.socket) -> None:
    """Receives all messages, and closes their descriptors."""
    with contextlib.suppress(BlockingIOError):
        while True:
            os.close(receive(inbox)[1])


@pytest.fixture
def timeout() -> float:
    """Seconds for a hand-over and for an answer."""
    return 10.0


@pytest.fixture
def two(timeout: float) -> Iterator[TwoWorkers]:
    with contextlib.closing(TwoWorkers(timeout)) as two:
        yield two


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The peer's end, and the accepted socket."""
    peer, accepted = unix_pair()
    with peer, accepted:
        peer.settimeout(PATIENCE)
        yield peer, accepted

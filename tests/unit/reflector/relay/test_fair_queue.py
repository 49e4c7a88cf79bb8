from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import gevent.event
import pytest

from medusa.reflector.relay.endpoint import READ
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.relayed import RELAY_MOST
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def turns() -> Iterator[FairQueue]:
    turns = FairQueue(gevent.get_hub().loop)
    yield turns
    turns._idle.close()
    turns._clock.close()


def test_each_is_called_once_in_its_order(turns: FairQueue) -> None:
    called: list[int] = []
    done = gevent.event.Event()
    for number in range(5):
        turns.add(lambda number=number: called.append(number))  # type: ignore[misc]
    turns.add(done.set)
    assert done.wait(PATIENCE)
    assert called == [0, 1, 2, 3, 4]
    assert not turns._idle.active


def test_who_comes_again_waits_behind_the_others(turns: FairQueue) -> None:
    called: list[str] = []
    done = gevent.event.Event()

    def turn(name: str, left: int) -> None:
        called.append(name)
        if left:
            turns.add(lambda: turn(name, left - 1))
        elif name == "b":
            done.set()

    turns.add(lambda: turn("a", 3))
    turns.add(lambda: turn("b", 3))
    assert done.wait(PATIENCE)
    assert called == ["a", "b"] * 4


def test_whatever_else_happens_comes_first(turns: FairQueue) -> None:
    near, far = socket.socketpair()
    heard = gevent.event.Event()
    readable = turns.loop.io(near.fileno(), READ)
    taken: list[int] = []

    def busy() -> None:
        if len(taken) == 3:
            far.send(b"key")
        taken.append(len(taken))
        if not heard.is_set():
            turns.add(busy)

    try:
        readable.start(heard.set)
        turns.add(busy)
        assert heard.wait(PATIENCE)
        # One turn at the most is taken between an event and its callback.
        assert len(taken) <= 5
    finally:
        readable.close()
        near.close()
        far.close()


def test_nobody_is_left_out_because_something_else_is_always_pending(turns: FairQueue) -> None:
    near, far = socket.socketpair()
    readable = turns.loop.io(near.fileno(), READ)
    done = gevent.event.Event()
    try:
        far.send(b"never read")
        readable.start(lambda: None)
        turns.add(lambda: turns.add(done.set))
        assert done.wait(PATIENCE)
    finally:
        readable.close()
        near.close()
        far.close()


def test_the_clock_stands_still_when_nobody_waits(turns: FairQueue) -> None:
    turns.add(lambda: None)
    assert turns._clock.active
    wait_until(lambda: not turns._clock.active, nap=gevent.sleep)


def test_one_buffer_for_all(turns: FairQueue) -> None:
    assert len(turns.scratch) >= RELAY_MOST
    assert not turns.scratch.readonly

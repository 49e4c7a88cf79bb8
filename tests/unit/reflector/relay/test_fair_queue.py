from __future__ import annotations

import socket

import gevent
import gevent.event

from medusa.reflector.net.sockets import READ
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.relayed import RELAY_MOST
from tests.unit.reflector.conftest import until
from tests.waiting import PATIENCE


def test_every_step_runs_once_in_its_order(queue: FairQueue) -> None:
    called: list[int] = []
    done = gevent.event.Event()
    for number in range(5):
        queue.add(lambda number=number: called.append(number))  # type: ignore[misc]
    queue.add(done.set)
    assert done.wait(PATIENCE)
    assert called == [0, 1, 2, 3, 4]
    assert not queue._idle.active


def test_a_step_that_is_queued_again_runs_after_the_others(queue: FairQueue) -> None:
    called: list[str] = []
    done = gevent.event.Event()

    def step(name: str, left: int) -> None:
        called.append(name)
        if left:
            queue.add(lambda: step(name, left - 1))
        elif name == "b":
            done.set()

    queue.add(lambda: step("a", 3))
    queue.add(lambda: step("b", 3))
    assert done.wait(PATIENCE)
    assert called == ["a", "b"] * 4


def test_any_other_event_goes_first(queue: FairQueue) -> None:
    near, far = socket.socketpair()
    heard = gevent.event.Event()
    readable = queue.loop.io(near.fileno(), READ)
    taken: list[int] = []

    def busy() -> None:
        if len(taken) == 3:
            far.send(b"key")
        taken.append(len(taken))
        if not heard.is_set():
            queue.add(busy)

    try:
        readable.start(heard.set)
        queue.add(busy)
        assert heard.wait(PATIENCE)
        # One step at most runs between an event and its callback.
        assert len(taken) <= 5
    finally:
        readable.close()
        near.close()
        far.close()


def test_a_step_runs_though_another_event_is_always_pending(queue: FairQueue) -> None:
    near, far = socket.socketpair()
    readable = queue.loop.io(near.fileno(), READ)
    done = gevent.event.Event()
    try:
        far.send(b"never read")
        readable.start(lambda: None)
        queue.add(lambda: queue.add(done.set))
        assert done.wait(PATIENCE)
    finally:
        readable.close()
        near.close()
        far.close()


def test_the_clock_stops_when_the_queue_is_empty(queue: FairQueue) -> None:
    queue.add(lambda: None)
    assert queue._clock.active
    until(lambda: not queue._clock.active)


def test_there_is_one_buffer_for_all(queue: FairQueue) -> None:
    assert len(queue.scratch) >= RELAY_MOST
    assert not queue.scratch.readonly

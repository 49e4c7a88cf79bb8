from __future__ import annotations

import contextlib
import socket
import time

import gevent
import gevent.event
import pytest

from medusa.reflector.net.sockets import READ
from medusa.reflector.relay.fair_queue import ALONE, MOST_REQUESTS, FairQueue
from medusa.transports.relayed import RELAY_MOST
from tests.unit.reflector.conftest import until
from tests.waiting import MS, PATIENCE


def test_every_step_runs_once_in_its_order(queue: FairQueue) -> None:
    called: list[int] = []
    done = gevent.event.Event()
    for number in range(5):
        queue.add(lambda number=number: called.append(number))  # type: ignore[misc]
    queue.add(done.set)
    assert done.wait(PATIENCE)
    assert called == [0, 1, 2, 3, 4]
    until(lambda: not queue._idle.active)  # the step that sets `done` may still run


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
        # The steps of one idle moment at most run between an event and its callback.
        assert len(taken) <= 3 + ALONE
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
    assert not queue._turn.active


class Flood:
    """An event that is always pending, and that takes the processor for a while each time."""

    def __init__(self, queue: FairQueue, seconds: float) -> None:
        self._near, self._far = socket.socketpair()
        self._far.send(b"never read")
        self._seconds = seconds
        self._readable = queue.loop.io(self._near.fileno(), READ)
        self._readable.start(self._burn)
        self.used = 0.0

    def _burn(self) -> None:
        self.used += burn(self._seconds)

    def close(self) -> None:
        self._readable.close()
        self._near.close()
        self._far.close()


def burn(seconds: float) -> float:
    begun = time.thread_time()
    while time.thread_time() < begun + seconds:
        pass
    return time.thread_time() - begun


def test_steps_and_requests_have_their_share_of_a_loop_that_is_never_idle(queue: FairQueue) -> None:
    """A quarter of the time would do for the steps; they get about half of it. No request is admitted before others."""
    used, answered = [0.0], list[int]()

    def step() -> None:
        used[0] += burn(0.0002)
        if flood.used < 0.2:
            queue.add(step)

    def request(number: int) -> None:
        queue.admit()
        answered.append(number)

    with contextlib.closing(Flood(queue, 0.002)) as flood:
        queue.add(step)
        until(lambda: queue._turn.active)
        asking = [gevent.spawn(request, number) for number in range(MOST_REQUESTS)]
        gevent.sleep(0)
        assert queue.is_full()
        gevent.joinall(asking, timeout=PATIENCE)
        until(lambda: flood.used >= 0.2)
        assert answered == list(range(MOST_REQUESTS))
        assert not queue.is_full()
        assert used[0] > 0.05
    until(lambda: not queue._clock.active)


def test_a_request_that_gives_up_leaves_the_queue(queue: FairQueue) -> None:
    with contextlib.closing(Flood(queue, 0.001)) as flood:
        queue.add(lambda: None)
        queue._turn.start(lambda: None)
        with pytest.raises(gevent.Timeout), gevent.Timeout(10 * MS):
            queue.admit()
        assert not queue._requests
        assert flood.used > 0
        queue._turn.stop()


def test_requests_do_not_wait_in_a_loop_with_idle_moments(queue: FairQueue) -> None:
    queue.add(lambda: None)
    queue.admit()
    assert not queue._requests


def test_there_is_one_buffer_for_all(queue: FairQueue) -> None:
    assert len(queue.scratch) >= RELAY_MOST
    assert not queue.scratch.readonly

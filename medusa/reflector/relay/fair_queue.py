"""Shares the event loop among busy connections, requests and all other work. Holds the read buffer of all connections.

A connection whose reads are large queues its next read here. Queued reads run one by one, when the loop is idle. So a
keystroke of another session waits for at most one such read. If many requests or small messages come, the loop is never
idle. Then queued reads get as much time as all other work together, and requests wait in a queue here too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

from gevent.hub import Waiter

from medusa.transports.relayed import new_scratch

BULK = 16 * 1024
"""A connection is busy if one read returns at least BULK bytes. Typing and redrawn screens cause smaller reads."""

SHARE_INTERVAL = 0.004
"""Seconds between two checks of how much time the queued steps have got."""

ALONE = 4
"""The most steps in one idle moment of the loop, as long as only one connection is busy."""

LEAST_SHARE = 0.25
"""If the idle moments of the loop give the queued steps less than this part of all time, the loop is crowded."""

LONGEST_TURN = 0.02
"""The maximum number of seconds that steps take in one iteration of a crowded loop."""

REQUESTS_TURN = 0.0001
"""Seconds in each iteration of a crowded loop during which waiting requests may begin.

A request that has begun is not stopped. The time is short, because it delays the next iteration, and a busy connection
moves bytes only once in each iteration.
"""

MOST_REQUESTS = 4
"""If so many requests wait for their turn, no further connections are accepted."""


class FairQueue:
    """A queue of steps that run when the event loop is idle, one per loop iteration.

    Each step runs from an idle watcher, so all other events go first. Connections whose reads are small are never
    queued. Requests are not queued as long as the loop has enough idle moments. If it has too few of them, because of
    many small reads and requests, the loop is crowded. Then each iteration has a turn for steps, and one for requests.

    Attributes:
        loop: gevent's event loop.
        scratch: the buffer that every connection reads into. A callback may use it only until it returns.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.scratch = new_scratch()
        self._steps: deque[Callable[[], None]] = deque()
        self._requests: deque[Any] = deque()  # the Waiter of each greenlet in `admit`
        self._idle = loop.idle()
        self._turn = loop.prepare()  # active while the loop is crowded
        self._clock = loop.timer(SHARE_INTERVAL, SHARE_INTERVAL)  # runs until a look finds the queue empty
        self._looked = 0.0  # the time of the last look
        self._used = 0.0  # seconds that steps took in idle moments since then
        self._ran = False  # True: a step has run in a turn since then
        self._awake = False  # True: both `_idle` and `_clock` are active
        self._turn_ended = 0.0  # of thread_time()

    def add(self, step: Callable[[], None]) -> None:
        """Queues `step`, which runs once, after the steps already queued. `step` must not raise."""
        self._steps.append(step)
        if not self._awake:
            self._start()

    def admit(self) -> None:
        """Waits until the calling greenlet may begin to answer a request. Does not wait if the loop is not crowded."""
        if not self.is_crowded():
            return
        waiter: Any = Waiter()
        self._requests.append(waiter)
        self._start()
        try:
            waiter.get()
        finally:  # a timeout may have ended the wait
            if waiter in self._requests:
                self._requests.remove(waiter)

    def is_crowded(self) -> bool:
        """Returns True if `admit` would wait."""
        return bool(self._turn.active)

    def is_full(self) -> bool:
        """Returns True if so many requests wait for their turn that no further connection should be accepted."""
        return len(self._requests) >= MOST_REQUESTS

    def _start(self) -> None:
        self._awake = True
        if not self._idle.active:
            self._idle.start(self._run_one)
        if not self._clock.active:
            self._looked, self._used = perf_counter(), 0.0
            self._clock.start(self._look)

    def _look(self) -> None:
        now = perf_counter()
        # The queue may be empty for a moment, while the kernel's buffers are full.
        busy = bool(self._steps) or self._ran or self._used > 0
        crowded = busy and self._used < LEAST_SHARE * (now - self._looked)
        self._looked, self._used, self._ran = now, 0.0, False
        if crowded and not self._turn.active:
            self._turn_ended = thread_time()
            self._turn.start(self._take_turn)
        elif not (crowded or self._requests):
            self._turn.stop()
        if not (busy or self._requests):
            self._clock.stop()
            self._awake = False

    def _run_one(self) -> None:
        begun = perf_counter()
        if self._steps:
            self._steps.popleft()()
        for _ in range(ALONE - 1):
            if len(self._steps) != 1 or self._requests:
                break
            self._steps.popleft()()
        if self._requests:
            self._requests.popleft().switch(None)
        if not (self._steps or self._requests):
            self._idle.stop()
            self._awake = False
        self._used += perf_counter() - begun

    def _take_turn(self) -> None:
        """Runs queued steps for as long as all other work has taken since the last turn. Then lets requests begin.

        Runs at least one step if there is one, and takes at most LONGEST_TURN seconds for the steps.
        """
        begun = thread_time()
        end = begun + min(LONGEST_TURN, begun - self._turn_ended)
        while self._steps:
            self._ran = True
            self._steps.popleft()()
            if thread_time() >= end:
                break
        self._turn_ended = thread_time()
        end = self._turn_ended + REQUESTS_TURN
        while self._requests and thread_time() < end:
            self._requests.popleft().switch(None)

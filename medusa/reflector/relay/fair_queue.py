"""Steps of busy connections, one at a time, and the buffer that all connections of an event loop read into.

A connection that fills its reads queues its next read here. So a keystroke of another pair waits for one such read at
most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from medusa.transports.relayed import new_scratch

BULK = 16 * 1024
"""Bytes in one read from which on a connection counts as busy: more than typing, or a redrawn screen, makes."""

MAX_DELAY = 0.004
"""Seconds after which a queued step runs even though other events are pending.

Connections whose reads are small are never queued. A flood of pings, or enough pairs that type, would leave no moment
without a pending event.
"""


class FairQueue:
    """Runs one queued step per loop iteration, from an idle watcher, so any other event goes first; if there is no idle
    moment, one step each MAX_DELAY.

    Attributes:
        loop: the event loop, gevent's.
        scratch: the buffer that every connection reads into; free again when the callback that read into it returns.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.scratch = new_scratch()
        self._steps: deque[Callable[[], None]] = deque()
        self._idle = loop.idle()
        self._ran = False  # a step, since the last tick of the clock
        self._clock = loop.timer(MAX_DELAY, MAX_DELAY)  # runs until a tick finds the queue empty

    def add(self, step: Callable[[], None]) -> None:
        """Run `step` once, after those that are queued already. It must not raise."""
        self._steps.append(step)
        if not self._idle.active:
            self._idle.start(self._run_one)
            if not self._clock.active:
                self._clock.start(self._tick)

    def _tick(self) -> None:
        ran, self._ran = self._ran, False
        if not self._steps:
            self._clock.stop()
        elif not ran:
            self._run_one()

    def _run_one(self) -> None:
        self._ran = True
        step = self._steps.popleft()
        if not self._steps:
            self._idle.stop()
        step()

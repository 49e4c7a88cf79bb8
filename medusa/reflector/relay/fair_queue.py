"""Runs the steps of busy connections one at a time. Holds the buffer that all connections on an event loop read into.

A connection whose reads are large queues its next read here. So a keystroke of another pair waits for at most one such
read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from medusa.transports.relayed import new_scratch

BULK = 16 * 1024
"""A connection is busy if one read returns at least so many bytes. Typing and redrawn screens stay below that."""

MAX_DELAY = 0.004
"""Seconds after which a queued step runs even if the event loop has had no idle moment.

Connections whose reads are small are never queued. So a flood of pings, or many users who type, can keep the event loop
from ever being idle.
"""


class FairQueue:
    """A queue of steps that run when the event loop is idle, one per loop iteration.

    Each step runs from an idle watcher, so all other events go first. If the loop is never idle, one step runs every
    MAX_DELAY seconds.

    Attributes:
        loop: gevent's event loop.
        scratch: the buffer that every connection reads into. A callback may use it only until it returns.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.scratch = new_scratch()
        self._steps: deque[Callable[[], None]] = deque()
        self._idle = loop.idle()
        self._ran = False  # True: a step has run since the last tick of the clock
        self._clock = loop.timer(MAX_DELAY, MAX_DELAY)  # runs until a tick finds the queue empty

    def add(self, step: Callable[[], None]) -> None:
        """Queues `step`, which runs once, after the steps already queued. It must not raise."""
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

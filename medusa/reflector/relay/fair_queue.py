"""What the links on one event loop share: a buffer to read into, and turns for those with much to say, so that a
keystroke of another pair waits for one read of theirs at the most."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from medusa.transports.relayed import new_scratch

BULK = 16 * 1024
"""Bytes in one read from which on a link counts as busy: more than a person, or a screen that is drawn, comes to."""


OVERDUE = 0.004
"""Seconds after which a turn is served though other things are pending. Links whose reads are small never take turns: a
flood of pings, or enough pairs that type, would leave no moment without something pending."""


class FairQueue:
    """One turn a turn of the event loop, when nothing else is pending: that is when libev runs idle watchers. Where
    there is no such moment, one each OVERDUE.

    Attributes:
        loop: gevent's.
        scratch: what any link reads into; free again when the callback that read ends.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.scratch = new_scratch()
        self._waiting: deque[Callable[[], None]] = deque()
        self._idle = loop.idle()
        self._served = False  # since the clock struck last; it runs until it strikes with nobody waiting
        self._clock = loop.timer(OVERDUE, OVERDUE)

    def add(self, turn: Callable[[], None]) -> None:
        """Call `turn` once, behind those that wait already. It must not raise."""
        self._waiting.append(turn)
        if not self._idle.active:
            self._idle.start(self._serve)
            if not self._clock.active:
                self._clock.start(self._strike)

    def _strike(self) -> None:
        served, self._served = self._served, False
        if not self._waiting:
            self._clock.stop()
        elif not served:
            self._serve()

    def _serve(self) -> None:
        self._served = True
        turn = self._waiting.popleft()
        if not self._waiting:
            self._idle.stop()
        turn()

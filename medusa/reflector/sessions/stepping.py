"""Runs a state machine on the event loop: one event after another, and one timer for all of its deadlines."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from medusa.reflector.relay.fair_queue import FairQueue

Event = TypeVar("Event")


class Stepping(Generic[Event]):
    """The base class of an object that runs a state machine by callbacks on the event loop. It needs no greenlet.

    Any greenlet or callback may call `_add` to pass an event. The events are processed one after another, each in a
    callback. The next event is processed only after the one before it is finished.

    A subclass has the methods `_step`, `_check_deadlines`, `_next_deadline` and `_fail`.
    """

    __slots__ = ("_inbox", "_queue", "_timer", "_timer_at", "_woken")

    def __init__(self, queue: FairQueue) -> None:
        self._queue = queue
        self._inbox: list[Event] = []  # an empty deque takes ten times as much memory
        self._woken = False  # True: a step is already scheduled
        self._timer: Any = None
        self._timer_at = math.inf

    def _add(self, event: Event) -> None:
        """Schedules an event for processing, and returns at once."""
        self._inbox.append(event)
        self._wake()

    # ------------------------------------------------------------------ of the subclass

    def _step(self) -> None:
        """Processes the events passed to `_add`, then those of the deadlines that have passed. Sets the timer again."""
        raise NotImplementedError

    def _check_deadlines(self) -> None:
        """Acts on the deadlines that are due. Schedules `_step` if one of them is an event for the state machine."""
        raise NotImplementedError

    def _next_deadline(self) -> float:
        """Returns the time.monotonic() at which to check the deadlines next; infinity for never."""
        raise NotImplementedError

    def _fail(self, error: Exception) -> None:
        """Logs `error`, an exception that shows a bug, and releases all that this object holds."""
        raise NotImplementedError

    def _callback(self) -> Callable[[], object]:
        """Returns the function that the event loop has to call for the next step."""
        return self._step

    # ------------------------------------------------------------------ how the steps are run

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._queue.loop.run_callback(self._callback())

    def _guarded(self, work: Callable[[], None]) -> None:
        """Calls `work`. If it raises an exception, which is a bug, calls `_fail` with it."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - logged by `_fail`
            self._fail(error)

    def _look(self) -> None:
        """Checks the deadlines, and acts on those that are due. The timer calls this method at the next deadline.

        Usually only a ping is due. It is sent without a further step.
        """
        self._guarded(self._check_deadlines)
        if not self._woken:  # otherwise the scheduled step sets the timer
            self.set_timer()

    def set_timer(self) -> None:
        """Starts a timer that calls `_look` at the next deadline. Keeps an active timer that fires earlier."""
        when = self._next_deadline()
        if self._timer is not None and self._timer_at <= when < math.inf and self._timer.active:
            return
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if when < math.inf:
            self._timer_at = when
            self._timer = self._queue.loop.timer(max(0.0, when - time.monotonic()))
            self._timer.start(self._look)

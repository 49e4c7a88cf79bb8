"""Processes the inputs (events) of one pair, one after another, and checks its deadlines."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import structlog
from greenlet import greenlet

from medusa.protocol.messages import Close
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.reflector.sessions.pair.link_checks import Late, Ping
from medusa.reflector.sessions.pair.sides import Sides
from medusa.reflector.sessions.pair.usage import Usage
from medusa.reflector.tickets.desk import TicketDesk
from medusa.session import Input, SessionMachine, State

log = structlog.get_logger(component="session")


@dataclass(frozen=True)
class Context:
    """The objects that all sessions of one process share."""

    config: ReflectorConfig
    queue: FairQueue
    metrics: Metrics
    budget: Budget
    desk: TicketDesk


class Runner:
    """The part of a pair that runs its state machine.

    Any greenlet or callback may call `tell` to pass an input (an event). The inputs are processed one after another: by
    a callback on the event loop while the client waits for an agent, and by a greenlet of this pair after both are
    linked.

    A subclass has the methods `_process`, `_join_endpoints` and `_release`.

    Attributes:
        machine: the state machine.
        usage: the pair's times, and the reason why it ended.
    """

    __slots__ = (
        "_context",
        "_deadlines",
        "_inbox",
        "_pair",
        "_sides",
        "_timer",
        "_timer_at",
        "_woken",
        "machine",
        "usage",
    )

    def __init__(self, context: Context, deadlines: Deadlines, usage: Usage) -> None:
        self.machine = SessionMachine()
        self.usage = usage
        self._context = context
        self._deadlines = deadlines
        self._sides = Sides()
        self._inbox: list[tuple[Input, Close | None]] = []  # an empty deque takes ten times as much memory
        self._woken = False  # True: a step, or the link-up, is already scheduled
        self._pair: greenlet | None = None
        self._timer: Any = None
        self._timer_at = math.inf

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Schedules an input (an event) for processing, and returns at once. `close`: see SessionMachine.process."""
        self._inbox.append((happened, close))
        self._wake()

    # ------------------------------------------------------------------ of the subclass

    def _process(self, happened: Input, close: Close | None) -> None:
        """Passes an input to the state machine, and carries out the actions."""
        raise NotImplementedError

    def _join_endpoints(self) -> None:
        """Tells both sides that they are linked, and forwards from now on."""
        raise NotImplementedError

    def _release(self) -> None:
        """Releases all that the pair holds."""
        raise NotImplementedError

    # ------------------------------------------------------------------ how the steps are run

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._context.queue.loop.run_callback(self._step if self._pair is None else self._pair.switch)

    def _run_in_greenlet(self) -> None:
        """Starts the greenlet of the linked pair, which links both sides first."""
        self._pair = greenlet(self._own_pair().__next__, gevent.get_hub())
        self._woken = True  # keeps `_wake` from switching to the greenlet before the link-up is done
        self._context.queue.loop.run_callback(self._pair.switch)

    def _own_pair(self) -> Iterator[None]:
        """The code of the greenlet of a linked pair: links both sides, waits for inputs, and closes the pair.

        It is a generator to save memory: the frame of a generator is on the heap. If a greenlet calls a Python
        function, the greenlet gets a stack page of 4 KiB, and keeps it to its end. So the greenlet of an idle pair
        calls no Python function: the link-up runs on the event loop's stack, and `wait` is written in C.
        """
        wait = gevent.get_hub().switch
        self._context.queue.loop.run_callback(self._link_up)
        while self.machine.state is State.LINKED:  # spliced: the watchers of the endpoints move the bytes
            wait()
            self._step()
        # Closing: each side answers its Close, hangs up, or exceeds the close timeout.
        while self.machine.state is not State.ENDED:
            wait()
            self._step()
        yield  # the table's last action has released everything; this ends the greenlet

    def _link_up(self) -> None:
        self._woken = False
        self._guarded(self._join_endpoints)
        if self._inbox:
            self._wake()
        self._set_timer()

    def _step(self) -> None:
        """Processes the inputs passed to `tell`, then those of the deadlines that have passed. Sets the timer again."""
        self._woken = False
        owner = self._pair
        self._guarded(self._process_inputs)
        if self._pair is owner:  # otherwise the pair has just been linked, and its greenlet continues
            self._set_timer()

    def _process_inputs(self) -> None:
        owner = self._pair
        while self._inbox and not self._over:
            self._process(*self._inbox.pop(0))
            if self._pair is not owner:
                return
        while not self._over and (due := self._deadlines.happened(time.monotonic(), self._sides.values())) is not None:
            self._process(due, None)

    def _look(self) -> None:
        """Checks the deadlines, and acts on those that are due. The timer calls this at the next deadline.

        Usually a ping is due, which is sent without a switch to the pair's greenlet.
        """
        self._guarded(self._check_deadlines)
        if not self._woken:  # otherwise the scheduled step sets the timer
            self._set_timer()

    def _check_deadlines(self) -> None:
        now, links = time.monotonic(), self._sides.values()
        for due in self._deadlines.check_links(now, links):
            if isinstance(due, Ping):
                self._sides[due.side].ping()
            elif isinstance(due, Late):
                self._sides[due.side].refuse_message(due.why)
            else:
                self._sides[due.side].give_up(due.why)
        if self._deadlines.next_input(links) <= now:
            self._wake()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Calls `work`. If it raises, which is a bug, ends this pair alone: releases all that it holds."""
        try:
            work()
        except Exception:
            log.exception("session failed", **self.usage.named)
            self.machine.state = State.ENDED
            self._release()
            self._wake()  # so that the pair's greenlet ends

    def _set_timer(self) -> None:
        """Starts a timer that calls `_look` at the next deadline. Keeps an active timer that fires earlier."""
        when = math.inf
        if not self._over:
            links = self._sides.values()
            when = min(self._deadlines.next_input(links), self._deadlines.next_check(links))
        if self._timer is not None and self._timer_at <= when < math.inf and self._timer.active:
            return
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if when < math.inf:
            self._timer_at = when
            self._timer = self._context.queue.loop.timer(max(0.0, when - time.monotonic()))
            self._timer.start(self._look)

    @property
    def _over(self) -> bool:
        return self.machine.state is State.ENDED

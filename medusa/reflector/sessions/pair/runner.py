"""Processes the inputs (events) of one pair, one after another, and checks its deadlines."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import structlog
from greenlet import greenlet

from medusa.protocol.control import Ticket, build
from medusa.protocol.messages import Close
from medusa.protocol.record import record
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.reflector.sessions.pair.link_checks import Late, Ping, Renew
from medusa.reflector.sessions.pair.sides import Sides
from medusa.reflector.sessions.pair.usage import Usage
from medusa.reflector.sessions.stepping import Stepping
from medusa.reflector.tickets.desk import TicketDesk
from medusa.session import WAITING, Input, SessionMachine, Side, State

log = structlog.get_logger(component="session")


@record
class Context:
    """Holds the objects that all sessions of one process share."""

    config: ReflectorConfig
    queue: FairQueue
    metrics: Metrics
    budget: Budget
    desk: TicketDesk


class Runner(Stepping[tuple[Input, "Close | None"]]):
    """The base class of a pair that runs its state machine. A pair is a client and its agent.

    Any greenlet or callback may call `tell` to pass an input (an event). The inputs are processed one after another: by
    a callback on the event loop while the client waits for an agent, and by a greenlet of this pair after both are
    linked.

    A subclass has the methods `_process`, `_join_endpoints` and `_release`.

    Attributes:
        machine: the state machine.
        usage: the pair's times, and the reason why it ended.
        leg_id: a secret id of this pair. It is sent to an agent that is asked to connect for this pair. An agent that
            shows the id is let in as the agent of this pair. The id is valid until that agent is linked. "" if the
            agent connects without being asked.
        called_over: the other pair over whose connection the agent was last asked to connect for this pair. None: it
            was not asked yet.
    """

    __slots__ = ("_context", "_deadlines", "_pair", "_sides", "called_over", "leg_id", "machine", "usage")

    def __init__(self, context: Context, deadlines: Deadlines, usage: Usage, leg_id: str = "") -> None:
        super().__init__(context.queue)
        self.machine = SessionMachine()
        self.usage = usage
        self._context = context
        self._deadlines = deadlines
        self._sides = Sides()
        self._pair: greenlet | None = None
        self.leg_id = leg_id
        self.called_over: Any = None  # a Pair

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Schedules an input (an event) for processing, and returns at once. `close`: see SessionMachine.process."""
        self._add((happened, close))

    @property
    def state(self) -> State:
        """The state of the pair."""
        return self.machine.state

    @property
    def sides(self) -> Sides:
        """The connections of the pair."""
        return self._sides

    # ------------------------------------------------------------------ how its client waits, and until when

    def wait_for_agent(self) -> None:
        """Lets the client wait for an agent that connects without being asked. The wait timeout limits the wait."""
        if self.machine.state in WAITING:
            self._deadlines.wait(time.monotonic())
            self._wake()

    def wait_for_call(self) -> None:
        """Asks the agent to make one more connection, for the client that waits.

        Asks again and again, and ends the wait if the agent does not come.
        """
        if self.machine.state in WAITING:
            self.leg_id = self.leg_id or secrets.token_hex(16)
            self._deadlines.wait_for_call(time.monotonic())
            self._wake()

    def wait_for_home(self, timeout: float = math.inf) -> None:
        """Lets the client wait until its agent, which is away, comes back. `timeout`: the longest wait, in seconds."""
        if self.machine.state in WAITING:
            self.called_over = None
            self._deadlines.wait_for_home(time.monotonic(), timeout)
            self._wake()

    def drain(self, end: float, words: str = "the reflector is shutting down") -> None:
        """Sets the time at which the pair ends. Its user gets notices before. Returns at once.

        Changes nothing if an earlier call has set an earlier end.

        Args:
            end: the time, a time.monotonic().
            words: the reason, as a text for the user.
        """
        self._deadlines.drain(end, time.monotonic(), words)
        self._wake()

    def abandon(self) -> None:
        """Ends the wait of the client, because its agent cannot be asked to connect any more."""
        if self.machine.state in WAITING:
            self._deadlines.abandon(time.monotonic())
            self._wake()

    # ------------------------------------------------------------------ of the subclass

    def _process(self, happened: Input, close: Close | None) -> None:
        """Passes an input (an event) to the state machine, and carries out the actions that it returns."""
        raise NotImplementedError

    def _join_endpoints(self) -> None:
        """Tells both sides that they are linked, and begins to forward between them."""
        raise NotImplementedError

    def _release(self) -> None:
        """Releases all that the pair holds."""
        raise NotImplementedError

    # ------------------------------------------------------------------ how the steps are run

    def _callback(self) -> Callable[[], object]:
        return self._step if self._pair is None else self._pair.switch

    def _run_in_greenlet(self) -> None:
        """Starts the greenlet of the linked pair. The greenlet first links both sides."""
        self._pair = greenlet(self._own_pair().__next__, gevent.get_hub())
        self._woken = True  # keeps `_wake` from switching to the greenlet before the link-up is done
        self._context.queue.loop.run_callback(self._pair.switch)

    def _own_pair(self) -> Iterator[None]:
        """Runs a linked pair in its greenlet: links both sides, waits for inputs, and closes the pair.

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
        self.set_timer()

    def _step(self) -> None:
        """Processes the inputs passed to `tell`, then those of the deadlines that have passed. Sets the timer again."""
        self._woken = False
        owner = self._pair
        self._guarded(self._process_inputs)
        if self._pair is owner:  # otherwise the pair has just been linked, and its greenlet continues
            self.set_timer()

    def _process_inputs(self) -> None:
        owner = self._pair
        while self._inbox and not self._over:
            self._process(*self._inbox.pop(0))
            if self._pair is not owner:
                return
        while not self._over and (due := self._deadlines.happened(time.monotonic(), self._sides.values())) is not None:
            self._process(due, None)

    def _check_deadlines(self) -> None:
        now, links = time.monotonic(), self._sides.values()
        for due in self._deadlines.check_links(now, links):
            if isinstance(due, Ping):
                self._sides[due.side].ping()
            elif isinstance(due, Renew):
                self._sides[Side.CLIENT].announce(build(Ticket(due.ticket)))
            elif isinstance(due, Late):
                self._sides[due.side].refuse_message(due.why)
            else:
                self._sides[due.side].give_up(due.why)
        if self._deadlines.next_input(links) <= now:
            self._wake()

    def _fail(self, error: Exception) -> None:
        """Ends this pair, and no other one, after `error`, an exception that shows a bug. Logs the exception."""
        log.error("session failed", exc_info=error, **self.usage.named)
        self.machine.state = State.ENDED
        self._release()
        self._wake()  # so that the pair's greenlet ends

    def _next_deadline(self) -> float:
        if self._over:
            return math.inf
        links = self._sides.values()
        return min(self._deadlines.next_input(links), self._deadlines.next_check(links))

    @property
    def _over(self) -> bool:
        return self.machine.state is State.ENDED

"""Runs one session: passes events to the session's state machine, and carries out the actions that it returns.

The state machine is the table in medusa/session.py, which calls an event an input.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
import structlog
from greenlet import greenlet

from medusa.protocol.control import KILLED, Linkup, Notice, Wait, build
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.endpoint import Endpoint
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.pump import Progress
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions import plain_client
from medusa.reflector.sessions.deadlines import Deadlines, Late, Ping
from medusa.reflector.sessions.usage import Usage
from medusa.session import Action, Input, Outcome, SessionMachine, Side, State, broke_rules, closed, lost
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="session")

_WAIT_TEXT = build(Wait())
_KILLED_TEXT = build(Wait(KILLED))
_LINKUP_TEXT = build(Linkup())
_INPUTS = {Progress.CLOSED: closed, Progress.LOST: lost, Progress.BROKE_RULES: broke_rules}


class Holder(Protocol):
    """The registry that holds a session, with the methods that the session calls."""

    def stop_waiting(self, session: SessionDriver) -> None:
        """Takes note that the session's agent has arrived, so the session no longer counts as waiting."""

    def forget(self, session: SessionDriver) -> None:
        """Takes note that the session is over, and releases its name."""


@dataclass(frozen=True)
class Context:
    """The objects that all sessions of one process share."""

    config: ReflectorConfig
    queue: FairQueue
    metrics: Metrics
    holder: Holder
    budget: Budget


class SessionDriver:
    """The driver of one session. Create it after the session's name is claimed.

    The driver needs no call at its end: it releases everything when the session is over. Any greenlet or callback may
    call `tell` to pass an input (an event). The inputs are processed one after another: by a callback on the event loop
    while the client waits for an agent, and by a greenlet of this session after client and agent are linked.
    """

    def __init__(self, name: SessionName, context: Context, client_address: str) -> None:
        self.name = name
        self.machine = SessionMachine()
        self.usage = Usage(name)
        self._context = context
        self._endpoints: dict[Side, Endpoint] = {}
        self._agent_requested = 0.0  # the time of the agent's request, by time.monotonic()
        self._inbox: list[tuple[Input, Close | None]] = []  # an empty deque takes ten times as much memory
        self._woken = False  # True: a step, or the link-up, is already scheduled
        self._pair: greenlet | None = None
        self._notices = False  # True: the client shows notices at any time
        self._drain_words = ""
        self._deadlines = Deadlines(context.config, time.monotonic())
        self._timer: Any = None
        self._timer_at = math.inf
        self.usage.started(client_address)

    def expect_agent(self) -> bool:
        """Reserves this session for one agent, until `attach` is called.

        Returns False if another agent has reserved or joined the session, or if the session is closing.
        """
        if self.machine.state is not State.WAITING:
            return False
        self.machine.process(Input.AGENT_EXPECTED)
        self._agent_requested = time.monotonic()
        return True

    def expects(self, side: Side) -> bool:
        """Returns True if `attach` would add the connection of `side` now."""
        return self.machine.state is _ATTACH_IN[side]

    def attach(
        self, side: Side, transport: RelayedTransport, address: str, source: str = "", notices: bool = False
    ) -> None:
        """Adds the connection of `side` after its upgrade. If the session is over by now, closes the connection.

        Args:
            address: the peer's address, for logs and lists.
            source: an address. If the session has no login, the memory held for the peer is counted for this address.
            notices: True if the peer has announced that it shows the reflector's notices at any time.
        """
        if not self.expects(side):
            transport.close(1000, _OVER.reason, timeout=0.1)
            return
        transport.share = self._context.budget.share(login=self.name.login, address=source)
        keepalive = Keepalive(self._context.config.keepalive, time.monotonic())
        endpoint = Endpoint(self._context.queue, side, transport, keepalive, self._endpoint_ended, address)
        self._endpoints[side] = endpoint
        self._notices |= notices and side is Side.CLIENT
        self.tell(Input.CLIENT_ATTACHED if side is Side.CLIENT else Input.AGENT_ATTACHED)

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Schedules an input (an event) for processing, and returns at once. `close`: see SessionMachine.process."""
        self._inbox.append((happened, close))
        self._wake()

    def drain(self, end: float, words: str = "the reflector is shutting down") -> None:
        """Ends the session at `end`, a time.monotonic(), and tells its user beforehand. Returns at once.

        Changes nothing if an earlier call has set an earlier end. `words`: the reason, as a text for the user.
        """
        now = time.monotonic()
        if end - now < self._deadlines.left_of_drain(now):
            self._drain_words = words
            self._deadlines.drain(end, now)
            self._wake()

    # ------------------------------------------------------------------ for lists and numbers

    @property
    def shows_notices(self) -> bool:
        """True if the client has announced that it shows notices at any time."""
        return self._notices

    @property
    def state(self) -> State:
        """The session's state."""
        return self.machine.state

    def has(self, side: Side) -> bool:
        """Returns True if `side` has attached."""
        return side in self._endpoints

    @property
    def links(self) -> int:
        """The number of the session's connections that are not closed, even if their peer has ended its stream."""
        return sum(not endpoint.released for endpoint in self._endpoints.values())

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the peers that have attached, keyed by "client" and "agent"."""
        return {side.value: endpoint.address for side, endpoint in self._endpoints.items()}

    @property
    def active(self) -> float:
        """The time.monotonic() of the last terminal byte. If there was none yet: the time of the last attachment."""
        return max((endpoint.active for endpoint in self._endpoints.values()), default=time.monotonic())

    def counts(self) -> dict[str, int]:
        """Returns how many messages and payload bytes each side has sent to the other. Keys: see Counted.counts."""
        counts: dict[str, int] = {}
        for side in Side:
            pump = self._endpoints[side].pump if side in self._endpoints else None
            counts["%s_messages" % side.value] = pump.messages if pump else 0
            counts["%s_bytes" % side.value] = pump.size if pump else 0
            if pump and pump.left_out_count:
                counts["%s_left_out" % side.value] = pump.left_out_count
        return counts

    def terminal_bytes(self) -> dict[str, int]:
        """Returns typed_bytes (the number of bytes of terminal input sent) and shown_bytes (the same for output)."""
        pumps = {side: self._endpoints[side].pump for side in Side if side in self._endpoints}
        sizes = [pump.terminal if (pump := pumps.get(side)) else 0 for side in (Side.CLIENT, Side.AGENT)]
        return dict(zip(("typed_bytes", "shown_bytes"), sizes, strict=True))

    # ------------------------------------------------------------------ how the steps are run

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._context.queue.loop.run_callback(self._step if self._pair is None else self._pair.switch)

    def _own_pair(self) -> Iterator[None]:
        """The code of the greenlet of a linked session: links both sides, waits for inputs, and closes the session.

        It is a generator to save memory: the frame of a generator is on the heap. If a greenlet calls a Python
        function, the greenlet gets a stack page of 4 KiB, and keeps it to its end. So the greenlet of an idle session
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
        while not self._over and (due := self._deadlines.happened(time.monotonic(), self._links)) is not None:
            self._process(due, None)

    def _look(self) -> None:
        """Checks the deadlines, and acts on those that are due. The timer calls this at the next deadline.

        Usually a ping is due, which is sent without a switch to the session's greenlet.
        """
        self._guarded(self._check_deadlines)
        if not self._woken:  # otherwise the scheduled step sets the timer
            self._set_timer()

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for due in self._deadlines.check_links(now, self._links):
            if isinstance(due, Ping):
                self._endpoints[due.side].ping()
            elif isinstance(due, Late):
                self._endpoints[due.side].refuse_message(due.why)
            else:
                self._endpoints[due.side].give_up(due.why)
        if self._deadlines.next_input(self._links) <= now:
            self._wake()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Calls `work`. If it raises, which is a bug, ends this session alone: releases its name and connections."""
        try:
            work()
        except Exception:
            log.exception("session failed", session=str(self.name))
            self.machine.state = State.ENDED
            self._release()
            self._wake()  # so that the pair's greenlet ends

    def _set_timer(self) -> None:
        """Starts a timer that calls `_look` at the next deadline. Keeps an active timer that fires earlier."""
        when = math.inf
        if not self._over:
            when = min(self._deadlines.next_input(self._links), self._deadlines.next_check(self._links))
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

    @property
    def _links(self) -> Collection[Endpoint]:
        return self._endpoints.values()

    def _process(self, happened: Input, close: Close | None) -> None:
        for action in self.machine.process(happened, close):
            _CARRY_OUT[action](self)

    def _endpoint_ended(self, endpoint: Endpoint, progress: Progress) -> None:
        if progress is Progress.CLOSED:
            reason = endpoint.pump.close.reason if endpoint.pump.close else ""
            self.usage.because(endpoint.side, "closed" + (" (%s)" % reason if reason else ""))
        else:
            self.usage.because(endpoint.side, endpoint.pump.why)
        self.tell(_INPUTS[progress](endpoint.side), endpoint.pump.close)

    # ------------------------------------------------------------------ the table's actions

    def _start_wait(self) -> None:
        self._deadlines.wait(time.monotonic())
        self._endpoints[Side.CLIENT].start()

    def _send_wait(self) -> None:
        self._endpoints[Side.CLIENT].announce(_WAIT_TEXT)

    def _send_killed(self) -> None:
        self._endpoints[Side.CLIENT].announce(_KILLED_TEXT)

    def _send_idle_notice(self) -> None:
        _, left = self._deadlines.left(time.monotonic(), self._links)
        words = "nothing has passed for %.0f s; unless something does, the session ends in %.0f s"
        self._send_notice(words % (self._context.config.idle_timeout - left, left))

    def _send_duration_notice(self) -> None:
        left, _ = self._deadlines.left(time.monotonic(), self._links)
        words = "the session ends in %.0f s: it may not last longer than %.0f s"
        self._send_notice(words % (left, self._context.config.max_duration))

    def _send_drain_notice(self) -> None:
        if self._notices:
            left = self._deadlines.left_of_drain(time.monotonic())
            self._send_notice("%s; the session ends in %.0f s" % (self._drain_words, max(1.0, left)))

    def _send_notice(self, words: str) -> None:
        self._endpoints[Side.CLIENT].announce(build(Notice(words)))

    def _start_pair(self) -> None:
        self._deadlines.link(time.monotonic())
        self.usage.linked()
        self._context.holder.stop_waiting(self)
        self._pair = greenlet(self._own_pair().__next__, gevent.get_hub())
        self._woken = True  # keeps `_wake` from switching to the greenlet before the link-up is done
        self._context.queue.loop.run_callback(self._pair.switch)

    def _link_up(self) -> None:
        self._woken = False
        self._guarded(self._join_endpoints)
        if self._inbox:
            self._wake()
        self._set_timer()

    def _join_endpoints(self) -> None:
        client, agent = self._endpoints[Side.CLIENT], self._endpoints[Side.AGENT]
        client.announce(_LINKUP_TEXT)
        agent.announce(_LINKUP_TEXT)
        if client.plain and not agent.plain:
            agent.announce(plain_client.START_TEXT)
            agent.on_left_out = self._answer_agent
        client.forward(agent)
        agent.forward(client)
        self._context.metrics.linked(self.usage.waited, time.monotonic() - self._agent_requested)
        agent.start()

    def _answer_agent(self, texts: Sequence[bytes]) -> None:
        close = plain_client.reply(texts)
        if close is not None:
            self._endpoints[Side.AGENT].close(close)

    def _dismiss_agent(self) -> None:
        self._endpoints.pop(Side.AGENT).dismiss(_OVER)

    def _hurry(self) -> None:
        self.usage.ended_by(self.machine.close.reason)
        self._deadlines.hurry()

    def _close_client(self) -> None:
        self._close(Side.CLIENT)

    def _close_agent(self) -> None:
        self._close(Side.AGENT)

    def _close(self, side: Side) -> None:
        endpoint = self._endpoints[side]
        endpoint.detach()
        if endpoint.open:
            endpoint.close(self.machine.close)

    def _finish(self) -> None:
        self._deadlines.finish(time.monotonic())

    def _release(self) -> None:
        self._context.holder.forget(self)
        for endpoint in self._endpoints.values():
            endpoint.dismiss(_OVER)
        outcome, counts = self.machine.outcome or Outcome.ENDED, self.counts()
        self._context.metrics.ended(outcome, counts)
        self.usage.ended(outcome, self.addresses, counts)


_ATTACH_IN = {Side.CLIENT: State.CLAIMED, Side.AGENT: State.WAITING_UPGRADE}
_OVER = Close(1000, "the session is over")

_CARRY_OUT: dict[Action, Callable[[SessionDriver], None]] = {
    Action.START_WAIT: SessionDriver._start_wait,
    Action.SEND_WAIT: SessionDriver._send_wait,
    Action.SEND_KILLED: SessionDriver._send_killed,
    Action.SEND_IDLE_NOTICE: SessionDriver._send_idle_notice,
    Action.SEND_DURATION_NOTICE: SessionDriver._send_duration_notice,
    Action.SEND_DRAIN_NOTICE: SessionDriver._send_drain_notice,
    Action.LINK_UP: SessionDriver._start_pair,
    Action.DISMISS_AGENT: SessionDriver._dismiss_agent,
    Action.HURRY: SessionDriver._hurry,
    Action.CLOSE_CLIENT: SessionDriver._close_client,
    Action.CLOSE_AGENT: SessionDriver._close_agent,
    Action.FINISH: SessionDriver._finish,
    Action.RELEASE: SessionDriver._release,
}

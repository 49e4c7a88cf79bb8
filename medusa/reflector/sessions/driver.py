"""The driver of one session: it feeds inputs to the session's table and carries out the actions (medusa/session.py)."""

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
from medusa.reflector.relay.endpoint import Endpoint
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.pump import Progress
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions import plain_client
from medusa.reflector.sessions.deadlines import Deadlines, Ping
from medusa.reflector.sessions.usage import Usage
from medusa.session import Action, Input, Outcome, SessionMachine, Side, State, broke_rules, closed, lost
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="session")

_WAIT_TEXT = build(Wait())
_KILLED_TEXT = build(Wait(KILLED))
_LINKUP_TEXT = build(Linkup())
_INPUTS = {Progress.CLOSED: closed, Progress.LOST: lost, Progress.BROKE_RULES: broke_rules}


class Holder(Protocol):
    """What a session says to the registry that holds it."""

    def stop_waiting(self, session: SessionDriver) -> None:
        """The session's agent came."""

    def forget(self, session: SessionDriver) -> None:
        """The session is over."""


@dataclass(frozen=True)
class Context:
    """What all sessions of one reflector share."""

    config: ReflectorConfig
    queue: FairQueue
    metrics: Metrics
    holder: Holder


class SessionDriver:
    """Made when the session's id is claimed; ends by itself.

    `tell` takes inputs from any greenlet or callback. They are dealt with one after another: while a client waits
    alone, by a callback on the event loop; once a pair is linked, by the pair's greenlet.
    """

    def __init__(self, name: SessionName, context: Context, client_address: str) -> None:
        self.name = name
        self.machine = SessionMachine()
        self.usage = Usage(name)
        self._context = context
        self._endpoints: dict[Side, Endpoint] = {}
        self._agent_requested = 0.0  # when the agent's request came, by time.monotonic()
        self._inbox: list[tuple[Input, Close | None]] = []  # an empty deque takes ten times as much memory
        self._woken = False  # a step, or the link-up, is going to run
        self._pair: greenlet | None = None
        self._deadlines = Deadlines(context.config, time.monotonic())
        self._timer: Any = None
        self._timer_at = math.inf
        self.usage.started(client_address)

    def expect_agent(self) -> bool:
        """Keep the place for an agent whose upgrade is to follow. False: there is an agent, or the session closes."""
        if self.machine.state is not State.WAITING:
            return False
        self.machine.process(Input.AGENT_EXPECTED)
        self._agent_requested = time.monotonic()
        return True

    def attach(self, side: Side, transport: RelayedTransport, address: str) -> None:
        """The upgrade of `side` is done. If the session cannot take the link any more, it is closed with the reason."""
        if self.machine.state is not _ATTACH_IN[side]:
            transport.close(1000, _OVER.reason, timeout=0.1)
            return
        keepalive = Keepalive(self._context.config.keepalive, time.monotonic())
        endpoint = Endpoint(self._context.queue, side, transport, keepalive, self._endpoint_ended, address)
        self._endpoints[side] = endpoint
        self.tell(Input.CLIENT_ATTACHED if side is Side.CLIENT else Input.AGENT_ATTACHED)

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Process an input soon. `close` as of SessionMachine.process. Does not wait."""
        self._inbox.append((happened, close))
        self._wake()

    # ------------------------------------------------------------------ for lists and numbers

    @property
    def state(self) -> State:
        """Where the session is."""
        return self.machine.state

    def has(self, side: Side) -> bool:
        """Whether `side` has attached."""
        return side in self._endpoints

    @property
    def links(self) -> int:
        """How many of its connections are open."""
        return sum(endpoint.open for endpoint in self._endpoints.values())

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the sides that have attached, by side."""
        return {side.value: endpoint.address for side, endpoint in self._endpoints.items()}

    @property
    def active(self) -> float:
        """When the last terminal byte passed, by time.monotonic(); before any, when the last side came."""
        return max((endpoint.active for endpoint in self._endpoints.values()), default=time.monotonic())

    def counts(self) -> dict[str, int]:
        """Messages and payload bytes that each side has sent to the other."""
        counts: dict[str, int] = {}
        for side in Side:
            pump = self._endpoints[side].pump if side in self._endpoints else None
            counts["%s_messages" % side.value] = pump.messages if pump else 0
            counts["%s_bytes" % side.value] = pump.size if pump else 0
            if pump and pump.left_out_count:
                counts["%s_left_out" % side.value] = pump.left_out_count
        return counts

    # ------------------------------------------------------------------ who runs the steps

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._context.queue.loop.run_callback(self._step if self._pair is None else self._pair.switch)

    def _own_pair(self) -> Iterator[None]:
        """The greenlet of a linked pair, its one owner: link up, splice both directions, close, release.

        It is a generator because a generator's frame lives on the heap. The first Python function that a greenlet calls
        gives it a stack page of 4 KiB for the rest of its life, so the greenlet of an idle pair calls none: the link-up
        runs on the event loop's stack, and `wait` is C.
        """
        wait = gevent.get_hub().switch
        self._context.queue.loop.run_callback(self._link_up)
        while self.machine.state is State.LINKED:  # spliced: the endpoints' watchers move the bytes
            wait()
            self._step()
        while self.machine.state is not State.ENDED:  # closing: each side answers its Close, goes, or runs out of time
            wait()
            self._step()
        yield  # released, by the table's last action; this ends the greenlet

    def _step(self) -> None:
        """Process the inputs that came, then those that are due."""
        self._woken = False
        owner = self._pair
        self._guarded(self._process_inputs)
        if self._pair is owner:  # else the pair's greenlet goes on from here
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
        """At a deadline. A ping, which is the usual one, does not wake the pair's greenlet."""
        self._guarded(self._check_deadlines)
        if not self._woken:  # else the step that follows does it
            self._set_timer()

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for due in self._deadlines.check_links(now, self._links):
            if isinstance(due, Ping):
                self._endpoints[due.side].ping()
            else:
                self._endpoints[due.side].give_up(due.why)
        if self._deadlines.next_input(self._links) <= now:
            self._wake()

    def _guarded(self, work: Callable[[], None]) -> None:
        """A bug ends this session, and no other: the id and the connections are released all the same."""
        try:
            work()
        except Exception:
            log.exception("session failed", session=str(self.name))
            self.machine.state = State.ENDED
            self._release()
            self._wake()  # so that the pair's greenlet ends

    def _set_timer(self) -> None:
        """Call `_look` at the next deadline, or before: the timer is left alone if a deadline only moves away."""
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

    def _send_notice(self, words: str) -> None:
        self._endpoints[Side.CLIENT].announce(build(Notice(words)))

    def _start_pair(self) -> None:
        self._deadlines.link(time.monotonic())
        self.usage.linked()
        self._context.holder.stop_waiting(self)
        self._pair = greenlet(self._own_pair().__next__, gevent.get_hub())
        self._woken = True  # until the link-up is done
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
    Action.LINK_UP: SessionDriver._start_pair,
    Action.DISMISS_AGENT: SessionDriver._dismiss_agent,
    Action.HURRY: SessionDriver._hurry,
    Action.CLOSE_CLIENT: SessionDriver._close_client,
    Action.CLOSE_AGENT: SessionDriver._close_agent,
    Action.FINISH: SessionDriver._finish,
    Action.RELEASE: SessionDriver._release,
}

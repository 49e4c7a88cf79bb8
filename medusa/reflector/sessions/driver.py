"""One session that lives here: its inputs and deadlines one after another, and the machine's actions carried out."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import structlog

from medusa.protocol.control import KILLED, Linkup, Notice, Start, Wait, build
from medusa.protocol.keepalive import Keepalive, Verdict
from medusa.protocol.messages import Close
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.relay.endpoint import Endpoint
from medusa.reflector.relay.pump import Progress
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.session_timeouts import Patience
from medusa.reflector.sessions.usage import Usage
from medusa.reflector.sessions.write_stall import Stalls
from medusa.session import Action, Input, Outcome, SessionMachine, Side, State, broke_rules, closed, lost
from medusa.transports.relayed import RelayedTransport

if TYPE_CHECKING:
    from medusa.reflector.sessions.registry import Registry

log = structlog.get_logger(component="session")

_WAIT_TEXT = build(Wait())
_KILLED_TEXT = build(Wait(KILLED))
_LINKUP_TEXT = build(Linkup())
_START_TEXT = build(Start())
_INPUTS = {Progress.CLOSED: closed, Progress.LOST: lost, Progress.BROKE_RULES: broke_rules}


class SessionDriver:
    """Made when its id is claimed; ends by itself.

    What happens comes in through `tell` (from any greenlet or event callback) and is dealt with on the event loop, one
    input after another, so that no two are ever half done. Nothing here waits, so a session needs no greenlet: the
    stacks of one would take as much memory as all the rest of an idle pair.
    """

    def __init__(self, name: SessionName, config: ReflectorConfig, registry: Registry, client_address: str) -> None:
        self.name = name
        self.machine = SessionMachine()
        self.usage = Usage(name)
        self.agent_expected = False
        self.waits_as: tuple[tuple[str, str], ...] = ()  # what it is counted under while it waits
        self.agent_came = 0.0  # its request, by time.monotonic()
        self._hurried = False
        self._backlogs: dict[Side, int] = {}
        self._config = config
        self._registry = registry
        self._legs: dict[Side, Endpoint] = {}
        self._inbox: list[tuple[Input, Close | None]] = []  # an empty deque takes ten times as much
        self._called = False  # `_work` will be
        self._deadlines: dict[Input, float] = {}
        self._timer: Any = None
        self._timer_at = math.inf
        self._patience: Patience | None = None
        self._stalls = Stalls(config.write_stall, time.monotonic()) if config.write_stall else None
        self.usage.started(client_address)

    def attach(self, side: Side, transport: RelayedTransport, address: str) -> None:
        """`side`'s link is here. Where the session cannot take it any more, the link is closed with the reason."""
        if self.machine.state is not _ATTACH_IN[side]:
            transport.close(1000, _OVER.reason, timeout=0.1)
            return
        keepalive = Keepalive(self._config.keepalive, time.monotonic())
        leg = Endpoint(self._registry.turns, side, transport, keepalive, self._leg_ended)
        leg.address = address
        self._legs[side] = leg
        self.tell(Input.CLIENT_ATTACHED if side is Side.CLIENT else Input.AGENT_ATTACHED)

    def tell(self, happened: Input, close: Close | None = None) -> None:
        """Something happened."""
        self._inbox.append((happened, close))
        if not self._called:
            self._called = True
            self._registry.turns.loop.run_callback(self._work)

    def has(self, side: Side) -> bool:
        """Whether `side` has attached."""
        return side in self._legs

    @property
    def links(self) -> int:
        """How many connections it holds."""
        return sum(leg.gone is None for leg in self._legs.values())

    @property
    def addresses(self) -> dict[str, str]:
        """Of the sides that have attached."""
        return {side.value: leg.address for side, leg in self._legs.items()}

    @property
    def active(self) -> float:
        """When the last terminal byte passed, by time.monotonic(); before any, when the last side came."""
        return max((leg.active for leg in self._legs.values()), default=time.monotonic())

    def counts(self) -> dict[str, int]:
        """Messages and payload bytes that each side has sent the other."""
        counts: dict[str, int] = {}
        for side in Side:
            pump = self._legs[side].pump if side in self._legs else None
            counts["%s_messages" % side.value] = pump.messages if pump else 0
            counts["%s_bytes" % side.value] = pump.size if pump else 0
            if pump and pump.left_out:
                counts["%s_left_out" % side.value] = pump.left_out
        return counts

    # ------------------------------------------------------------------ on the event loop

    def _work(self) -> None:
        self._called = False
        try:
            while self._inbox and not self._over:
                self._take(*self._inbox.pop(0))
            if not self._over:
                self._check_deadlines(time.monotonic())
            self._set_timer(math.inf if self._over else self._next_deadline())
        except Exception:  # a bug: the id and the links are let go of all the same
            log.exception("session failed", session=str(self.name))
            self.machine.state = State.ENDED
            self._set_timer(math.inf)
            self._release()

    def _set_timer(self, when: float) -> None:
        """Call `_work` at `when`, or before: a deadline that moves away is looked at when it would have struck."""
        if self._timer is not None and self._timer_at <= when < math.inf and self._timer.active:
            return
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if when < math.inf:
            self._timer_at = when
            self._timer = self._registry.turns.loop.timer(max(0.0, when - time.monotonic()))
            self._timer.start(self._work)

    @property
    def _over(self) -> bool:
        return self.machine.state is State.ENDED

    def _take(self, happened: Input, close: Close | None) -> None:
        before = self.machine.state
        if happened is Input.AGENT_ATTACHED:
            if before is not State.WAITING:  # the session began to close while the agent's upgrade was on its way
                self._legs.pop(Side.AGENT).dismiss(_OVER)
                return
            self.usage.linked()
        self._hurried |= happened in _HURRYING
        actions = self.machine.process(happened, close)
        if happened in _HURRYING:
            self.usage.ended_by(self.machine.close.reason)
        for action in actions:
            _CARRY_OUT[action](self)
        if self.machine.state is not before:
            self._entered(self.machine.state)

    def _entered(self, state: State) -> None:
        now = time.monotonic()
        if state is State.WAITING:
            self._deadlines = {
                Input.WAIT_PULSE: now + self._config.timeouts.wait_interval,
                Input.WAIT_EXPIRED: now + self._config.wait_timeout,
            }
            self._legs[Side.CLIENT].start()
        elif state is State.LINKED:
            self._deadlines = {}
            self._registry.waits_no_more(self)
            if self._config.idle_timeout or self._config.max_duration:
                self._patience = Patience(self._config, now)

    def _next_deadline(self) -> float:
        times = list(self._deadlines.values())
        times += [leg.keepalive.deadline() for leg in self._judged()]
        if self._patience is not None and self.machine.state is State.LINKED:
            times.append(self._patience.deadline(self.active))
        if self._stalls is not None:
            times.append(self._stalls.next_look)
        return min(times, default=math.inf)

    def _check_deadlines(self, now: float) -> None:
        for happened, when in list(self._deadlines.items()):
            # The input before may have ended the state that this deadline is of.
            if when <= now and self._deadlines.pop(happened, None) is not None:
                if happened is Input.WAIT_PULSE:
                    self._deadlines[happened] = when + self._config.timeouts.wait_interval
                if happened is Input.CLOSE_EXPIRED and self._slow():
                    self._finish()
                else:
                    self._take(happened, None)
        while self._patience is not None and self.machine.state is State.LINKED:
            due = self._patience.due(now, self.active)
            if due is None:
                break
            self._take(due, None)
        for leg in self._judged():
            self._judge(leg, now)
        if self._stalls is not None and now >= self._stalls.next_look:
            for leg in self._stalls.look(self._legs.values(), now):
                leg.lose("took nothing of what was sent to it for %g s" % self._stalls.limit)

    def _judged(self) -> list[Endpoint]:
        """The links whose silence means something. Who has got a Close has a deadline of its own."""
        talking = self.machine.state in _TALKING
        return [leg for leg in self._legs.values() if leg.gone is None and (talking or leg.backlog)]

    def _slow(self) -> bool:
        """Whether to go on waiting for a peer that lives but has not even got its Close yet.

        A client may stop reading for as long as its user likes (a pager, a stopped terminal): what the job wrote is not
        to be cut off. An agent must get on with it: nobody is left who could see its shell.
        """
        before, self._backlogs = self._backlogs, {s: leg.backlog for s, leg in self._legs.items() if leg.gone is None}
        if self._hurried:
            return False
        agent = self._backlogs.get(Side.AGENT, 0)
        return self._backlogs.get(Side.CLIENT, 0) > 0 or 0 < agent < before.get(Side.AGENT, agent + 1)

    def _judge(self, leg: Endpoint, now: float) -> None:
        if now < leg.keepalive.deadline():
            return
        if leg.takes_on():
            leg.keepalive.received(now)
        # What an agent wrote before it hung up is for the client to read in its own time. A plain peer cannot be asked.
        if (leg.paused or leg.transport.plain) and (leg.side is Side.AGENT or leg.passes_fin or not leg.hung_up):
            leg.keepalive.received(now)
        verdict = leg.keepalive.check(now)
        if verdict is Verdict.PING:
            leg.ping()
        elif verdict is Verdict.LOST:
            leg.lose("silent for %g s" % (3 * leg.keepalive.interval))

    # ------------------------------------------------------------------ the machine's actions

    def _send_wait(self) -> None:
        self._legs[Side.CLIENT].announce(_WAIT_TEXT)

    def _send_killed(self) -> None:
        self._legs[Side.CLIENT].announce(_KILLED_TEXT)

    def _send_idle_notice(self) -> None:
        assert self._patience is not None
        _, left = self._patience.left(time.monotonic(), self.active)
        words = "nothing has passed for %.0f s; unless something does, the session ends in %.0f s"
        self._send_notice(words % (self._config.idle_timeout - left, left))

    def _send_duration_notice(self) -> None:
        assert self._patience is not None
        left, _ = self._patience.left(time.monotonic(), self.active)
        self._send_notice(
            "the session ends in %.0f s: it may not last longer than %.0f s" % (left, self._config.max_duration)
        )

    def _send_notice(self, words: str) -> None:
        self._legs[Side.CLIENT].announce(build(Notice(words)))

    def _link_up(self) -> None:
        client, agent = self._legs[Side.CLIENT], self._legs[Side.AGENT]
        client.announce(_LINKUP_TEXT)
        agent.announce(_LINKUP_TEXT)
        if client.transport.plain and not agent.transport.plain:
            agent.announce(_START_TEXT)  # which the client has no words for
        client.forward(agent)
        agent.forward(client)
        self._registry.metrics.linked(self.usage.waited, time.monotonic() - self.agent_came)
        agent.start()

    def _close_client(self) -> None:
        self._close(Side.CLIENT)

    def _close_agent(self) -> None:
        self._close(Side.AGENT)

    def _close(self, side: Side) -> None:
        leg = self._legs[side]
        leg.detach()
        if leg.gone is None:
            leg.close(self.machine.close)

    def _finish(self) -> None:
        self._deadlines = {Input.CLOSE_EXPIRED: time.monotonic() + self._config.timeouts.close_timeout}

    def _release(self) -> None:
        self._deadlines = {}
        self._registry.forget(self)
        for leg in self._legs.values():
            leg.dismiss(_OVER)
        outcome, counts = self.machine.outcome or Outcome.ENDED, self.counts()
        self._registry.metrics.ended(outcome, counts)
        self.usage.ended(outcome, self.addresses, counts)

    def _leg_ended(self, leg: Endpoint, progress: Progress) -> None:
        if progress is Progress.CLOSED:
            reason = leg.pump.close.reason if leg.pump.close else ""
            self.usage.because(leg.side, "closed" + (" (%s)" % reason if reason else ""))
        else:
            self.usage.because(leg.side, leg.pump.why)
        self.tell(_INPUTS[progress](leg.side), leg.pump.close)


_HURRYING = (Input.IDLE_EXPIRED, Input.DURATION_EXPIRED, Input.KILLED, Input.CLAIM_LOST, Input.SHUTDOWN)
"""Behind these nobody is waited for who does not even take his Close."""

_TALKING = (State.WAITING, State.LINKED)
_ATTACH_IN = {Side.CLIENT: State.CLAIMED, Side.AGENT: State.WAITING}
_OVER = Close(1000, "the session is over")

_CARRY_OUT = {
    Action.SEND_WAIT: SessionDriver._send_wait,
    Action.SEND_KILLED: SessionDriver._send_killed,
    Action.SEND_IDLE_NOTICE: SessionDriver._send_idle_notice,
    Action.SEND_DURATION_NOTICE: SessionDriver._send_duration_notice,
    Action.LINK_UP: SessionDriver._link_up,
    Action.CLOSE_CLIENT: SessionDriver._close_client,
    Action.CLOSE_AGENT: SessionDriver._close_agent,
    Action.FINISH: SessionDriver._finish,
    Action.RELEASE: SessionDriver._release,
}

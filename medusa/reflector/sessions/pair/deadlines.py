"""The deadlines of one pair: decides what is due now, and when to check again. No I/O; the time is passed in.

Times are in seconds of one monotonic clock. `happened` returns the inputs that are due: events for the state machine in
medusa/session.py. `check_links` returns which peers need a ping, do not finish a message, or are lost. Both functions
may be called at any time. `next_input` returns the time at which to call `happened` next; `next_check` does the same
for `check_links`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, Protocol

from medusa.protocol.keepalive import LOST_AFTER, Keepalive, Verdict
from medusa.protocol.relay import Unfinished
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.sessions.pair.time_limits import DrainNotices, TimeLimits
from medusa.session import Input, Side

STALL_CHECKS = 4
"""The number of checks in the time `write_stall`. So a stall is noticed at most a quarter of `write_stall` too late."""

MESSAGE_CHECKS = 4
"""The number of checks in the time `message_timeout`."""

MESSAGE_RATE = 1024
"""A message may take `message_timeout`, and one second more for each MESSAGE_RATE bytes of it that have arrived.

So a large message on a slow link can be finished. But a peer that sends a byte now and then gets hardly any more time.
"""


class Link(Protocol):
    """A connection, with the attributes that Deadlines reads. `relay.endpoint.Endpoint` explains them."""

    side: Side
    keepalive: Keepalive
    active: float

    @property
    def open(self) -> bool: ...
    @property
    def plain(self) -> bool: ...
    @property
    def passes_fin(self) -> bool: ...
    @property
    def paused(self) -> bool: ...
    @property
    def unfinished(self) -> Unfinished | None: ...
    @property
    def hung_up(self) -> bool: ...
    @property
    def sent(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    @property
    def unacknowledged(self) -> float: ...
    def is_draining(self) -> bool: ...


class Ping(NamedTuple):
    """The order to send a ping to the peer at `side`, because it has been silent."""

    side: Side


class Lost(NamedTuple):
    """The order to give up the peer at `side`. `why` is the reason for the usage record."""

    side: Side
    why: str


class Late(NamedTuple):
    """The order to refuse the message that the peer at `side` does not finish. `why`: the text to send to the peer."""

    side: Side
    why: str


class _Message(NamedTuple):
    """An unfinished message.

    Attributes:
        number: see Unfinished.
        first: the smallest `Unfinished.arrived` that a check has found.
        since: the time at which a check first found the message, moved forward by each time span in which the link was
            not read.
        seen: the time at which a check last found the message.
    """

    number: int
    first: int
    since: float
    seen: float


class Deadlines:
    """The deadlines of one pair.

    Call `wait` or `wait_for_call` when the client begins to wait for an agent, `link` when the pair is linked, and
    `finish` when it begins to close.

    Args:
        active: returns the time of the session's last terminal byte, in any of its pairs. None: only this pair counts.
    """

    __slots__ = (
        "_active",
        "_backlogs",
        "_closing",
        "_config",
        "_drain",
        "_hurried",
        "_limits",
        "_messages",
        "_next_message_check",
        "_next_stall_check",
        "_stalls",
        "_timed",
        "_waited",
    )

    def __init__(self, config: ReflectorConfig, now: float, active: Callable[[], float] | None = None) -> None:
        self._config = config
        self._active = active
        self._timed: dict[Input, float] = {}
        self._limits: TimeLimits | None = None
        self._drain: DrainNotices | None = None
        self._waited = False  # True: `wait` was called, so there is a client
        self._closing = False
        self._hurried = False
        self._backlogs: dict[Side, int] | None = None  # bytes not sent yet, when the close timeout last expired
        self._next_stall_check = now if config.write_stall else math.inf
        self._stalls: dict[Side, tuple[int, int, float]] | None = None  # (backlog, sent, since when)
        self._next_message_check = now if config.message_timeout else math.inf
        self._messages: dict[Side, _Message] | None = None

    def wait(self, now: float) -> None:
        """Starts the deadlines of a client that waits for an agent."""
        self._waited = True
        pulse = now + self._config.timeouts.wait_interval
        self._timed = {Input.WAIT_PULSE: pulse, Input.WAIT_EXPIRED: now + self._config.wait_timeout}

    def wait_for_call(self, now: float) -> None:
        """Starts the deadlines of a client that has joined a session, and waits until the called agent dials."""
        self.wait(now)
        timeouts = self._config.timeouts
        del self._timed[Input.WAIT_EXPIRED]
        self._timed |= {Input.CALL_EXPIRED: now + timeouts.call_timeout, Input.CALL_DUE: now}

    def abandon(self, now: float) -> None:
        """Ends the wait of a client that has joined a session: the agent cannot be called any more."""
        if Input.CALL_EXPIRED in self._timed:
            self._timed = {Input.AGENT_GONE: now}

    def link(self, now: float, since: float | None = None) -> None:
        """Starts the deadlines of a linked pair.

        Args:
            since: the time at which the first pair of the session was linked; None for `now`.
        """
        self._timed = {}
        if self._config.idle_timeout or self._config.max_duration:
            began = now if since is None else since
            self._limits = TimeLimits(self._config.idle_timeout, self._config.max_duration, began)

    def drain(self, end: float, now: float) -> None:
        """Sets the time `end` at which the session ends because its reflector stops. Its user gets notices before.

        Changes nothing if an earlier `end` was set before. Until the session has a client, `happened` returns neither
        the notices nor the end.
        """
        if not self._closing and (self._drain is None or end < self._drain.end):
            self._drain = DrainNotices(end, now)

    def finish(self, now: float) -> None:
        """Starts the deadline of a session that closes: `close_timeout` for its sides to answer, or to hang up."""
        self._limits = self._drain = None
        self._closing = True
        self._timed = {Input.CLOSE_EXPIRED: now + self._config.timeouts.close_timeout}

    def hurry(self) -> None:
        """Makes the close timeout final: from now on it is not extended for a client that reads slowly."""
        self._hurried = True

    def left_of_drain(self, now: float) -> float:
        """Returns the seconds until the end that `drain` has set; infinity if no such end is set."""
        return self._drain.end - now if self._drain is not None else math.inf

    def left(self, now: float, links: Collection[Link]) -> tuple[float, float]:
        """Returns the seconds until the linked session ends by its maximum duration, and by the idle timeout.

        Each of the two numbers is infinity if the session has no such limit.
        """
        return self._limits.left(now, self._last_byte(links)) if self._limits is not None else (math.inf, math.inf)

    # ------------------------------------------------------------------ inputs of the session's table

    def happened(self, now: float, links: Collection[Link]) -> Input | None:
        """Returns one input for the session's state machine whose time has come; None if there is none.

        Process the input, then call this method again, until it returns None.
        """
        for happened, when in list(self._timed.items()):
            if when > now:
                continue
            if happened is Input.WAIT_PULSE:
                interval = self._config.timeouts.wait_interval
                # Pulses that were missed are skipped.
                self._timed[happened] = when + interval * (1 + (now - when) // interval)
            elif happened is Input.CALL_DUE:
                self._timed[happened] = now + self._config.timeouts.call_interval
            elif happened is Input.CLOSE_EXPIRED and self._is_read_slowly(links):
                self._timed[happened] = now + self._config.timeouts.close_timeout
                continue
            else:
                del self._timed[happened]
            return happened
        if self._drain is not None and self._waited and (drain := self._drain.due(now)) is not None:
            return drain
        return self._limits.due(now, self._last_byte(links)) if self._limits is not None else None

    def next_input(self, links: Collection[Link]) -> float:
        """Returns the time at which to call `happened` next."""
        limit = self._limits.deadline(self._last_byte(links)) if self._limits is not None else math.inf
        drain = self._drain.deadline() if self._drain is not None and self._waited else math.inf
        return min([limit, drain, *self._timed.values()])

    def _last_byte(self, links: Collection[Link]) -> float:
        return active(links) if self._active is None else self._active()

    def _is_read_slowly(self, links: Collection[Link]) -> bool:
        """Returns True if a side gets more time to close, because it has not received all bytes before its Close yet.

        A client gets more time for as long as its user does not read on (a pager, a stopped terminal), because the
        job's output must not be cut off. An agent gets more time only if it has received bytes since the last call.
        """
        before = self._backlogs or {}
        self._backlogs = {link.side: link.backlog for link in links if link.open}
        if self._hurried:
            return False
        agent = self._backlogs.get(Side.AGENT, 0)
        return self._backlogs.get(Side.CLIENT, 0) > 0 or 0 < agent < before.get(Side.AGENT, agent + 1)

    # ------------------------------------------------------------------ connections

    def check_links(self, now: float, links: Collection[Link]) -> list[Ping | Late | Lost]:
        """Returns what to do now: a list of Ping, Late (refuse the unfinished message) and Lost, each for one peer.

        A peer is lost if it does not answer pings, or if it accepts no byte for `write_stall` although bytes wait for
        it.
        """
        due: list[Ping | Late | Lost] = [verdict for link in self._judged(links) for verdict in self._judge(link, now)]
        if now >= self._next_stall_check:
            self._next_stall_check = now + self._config.write_stall / STALL_CHECKS
            why = "took nothing of what was sent to it for %g s" % self._config.write_stall
            lost = [verdict.side for verdict in due if isinstance(verdict, Lost)]
            due += [Lost(link.side, why) for link in links if link.side not in lost and self._has_stalled(link, now)]
        if now >= self._next_message_check:
            self._next_message_check = now + self._message_interval
            lost = [verdict.side for verdict in due if isinstance(verdict, Lost)]
            late = [link.side for link in links if self._is_late(link, now) and link.side not in lost]
            due += [Late(side, "a message was not finished in time") for side in late]
        return due

    def next_check(self, links: Collection[Link]) -> float:
        """Returns the time at which to call `check_links` next."""
        times = [self._next_stall_check, *(link.keepalive.deadline() for link in self._judged(links))]
        # While no message is unfinished, the checks for pings are usually frequent enough to find the next one.
        if self._messages or self._config.keepalive > self._message_interval:
            times.append(self._next_message_check)
        return min(times)

    def _judged(self, links: Collection[Link]) -> list[Link]:
        """Returns the connections whose peers have to answer pings: the open ones, with one exception.

        A connection is left out if its peer only has to answer a Close. The close timeout limits the time for that.
        """
        return [link for link in links if link.open and (not self._closing or link.backlog)]

    def _judge(self, link: Link, now: float) -> Iterator[Ping | Lost]:
        if now < link.keepalive.deadline():
            return
        if link.is_draining():
            # The peer has accepted bytes since the last check, perhaps right after that check.
            link.keepalive.alive_since(link.keepalive.asked, now)
        elif not _answers_pings(link):
            link.keepalive.alive_since(now - link.unacknowledged, now)
        verdict = link.keepalive.check(now)
        if verdict is Verdict.PING:
            yield Ping(link.side)
        elif verdict is Verdict.LOST:
            yield Lost(link.side, "silent for %g s" % (LOST_AFTER * link.keepalive.interval))

    @property
    def _message_interval(self) -> float:
        return self._config.message_timeout / MESSAGE_CHECKS

    def _is_late(self, link: Link, now: float) -> bool:
        """Returns True if the peer takes too long to finish its message.

        The time for which the link is not read, or for which this process is suspended, does not count.
        """
        before = self._messages.pop(link.side, None) if self._messages else None
        found = link.unfinished if link.open else None
        if found is None:
            return False
        if before is None or before.number != found.number:
            before = _Message(found.number, found.arrived, now, now)
        passed = now - before.seen
        stands = link.paused or passed > 2 * self._message_interval
        first, since = min(before.first, found.arrived), before.since + (passed if stands else 0.0)
        self._messages = self._messages or {}
        self._messages[link.side] = _Message(found.number, first, since, now)
        return now - since > self._config.message_timeout + (found.arrived - first) / MESSAGE_RATE

    def _has_stalled(self, link: Link, now: float) -> bool:
        if not link.open:
            return False
        if self._stalls is None:
            self._stalls = {}
        # If the peer accepts bytes, the backlog shrinks, or the kernel takes more of it.
        backlog, sent = link.backlog, link.sent
        before = self._stalls.get(link.side)
        if not backlog or before is None or before[:2] != (backlog, sent):
            self._stalls[link.side] = (backlog, sent, now)
            return False
        return now - before[2] >= self._config.write_stall


def active(links: Collection[Link]) -> float:
    """Returns the time of the last terminal byte. If there was none yet: the time when the last side has attached."""
    return max(link.active for link in links)


def _answers_pings(link: Link) -> bool:
    """Returns True if a silent peer counts as lost, False if its silence means nothing.

    Silence means nothing if the peer is plain (cannot answer pings), or if its link is not read now. If such a peer has
    hung up, its silence does count, with two exceptions:

    - An agent: its last output has to wait until the client reads it.
    - A plain peer whose FIN ends only one direction: it may still read.
    """
    return not (link.paused or link.plain) or (link.side is not Side.AGENT and not link.passes_fin and link.hung_up)

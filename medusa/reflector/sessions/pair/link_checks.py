"""Decides which peers of one pair need a ping, do not finish a message, or are lost. No I/O; the time is passed in."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from medusa.protocol.keepalive import Keepalive, Verdict
from medusa.protocol.relay import Unfinished
from medusa.reflector.config import ReflectorConfig
from medusa.session import Side

STALL_CHECKS = 4
"""The number of checks in the time `write_stall`. So a stall is noticed at most a quarter of `write_stall` too late."""

MESSAGE_CHECKS = 4
"""The number of checks in the time `message_timeout`."""

MESSAGE_RATE = 1024
"""A message may take `message_timeout`, and one second more for each MESSAGE_RATE bytes of it that have arrived.

So a large message on a slow link can be finished. But a peer that sends a byte now and then gets hardly any more time.
"""


class Link(Protocol):
    """The interface of a connection, with the attributes that the checks read. relay/endpoint/ explains them."""

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


class Renewal(Protocol):
    """The interface of an object that renews the ticket of one peer. It is an argument of `Pair.attach`.

    Attributes:
        due: the time.monotonic() at which the peer needs a new ticket.
    """

    due: float

    def renew(self) -> str:
        """Returns a new ticket for the peer, and sets `due` to the time at which it needs the next one."""


class Ping(NamedTuple):
    """Tells the caller to send a ping to the peer at `side`, because the peer has been silent."""

    side: Side


class Lost(NamedTuple):
    """Tells the caller to give up the peer at `side`. `why`: the reason, for the log."""

    side: Side
    why: str


class Late(NamedTuple):
    """Tells the caller to refuse a message that the peer at `side` does not finish. `why`: the text for the peer."""

    side: Side
    why: str


class Renew(NamedTuple):
    """Tells the caller to send a new ticket to the peer."""

    ticket: str


Due: TypeAlias = "Ping | Late | Lost | Renew"


class _Message(NamedTuple):
    """Describes an unfinished message, from one check to the next.

    Attributes:
        number: tells the messages of one connection apart; see Unfinished.
        first: the smallest value of the byte counter `Unfinished.arrived` that a check has found.
        since: the time at which a check first found the message. Times in which the connection was not read are added.
        seen: the time at which a check last found the message.
    """

    number: int
    first: int
    since: float
    seen: float


class LinkChecks:
    """Checks the connections of one pair, or an agent's control connection.

    Call `close_begins` when the pair, or the control connection, begins to close.

    Attributes:
        renewal: renews the ticket of the peer that has one: in a pair, the client. None if no peer has a ticket.
    """

    __slots__ = ("_closing", "_config", "_messages", "_next_message_check", "_next_stall_check", "_stalls", "renewal")

    def __init__(self, config: ReflectorConfig, now: float) -> None:
        self.renewal: Renewal | None = None
        self._config = config
        self._closing = False
        self._next_stall_check = now if config.write_stall else math.inf
        self._stalls: dict[Side, tuple[int, int, float]] | None = None  # (backlog, sent, since when)
        self._next_message_check = now if config.message_timeout else math.inf
        self._messages: dict[Side, _Message] | None = None

    def close_begins(self) -> None:
        """Notes that the peers only have to answer a Close from now on. They get no more tickets."""
        self._closing, self.renewal = True, None

    def check_links(self, now: float, links: Collection[Link]) -> list[Due]:
        """Returns a list of what the caller has to do now: Ping, Late (refuse the unfinished message), Lost and Renew.

        A peer is lost if it does not answer pings. It is also lost if it accepts no byte for `write_stall` seconds
        while bytes wait for it.
        """
        due: list[Due] = [verdict for link in self._judged(links) for verdict in self._judge(link, now)]
        if now >= self._next_stall_check:
            self._next_stall_check = now + self._config.write_stall / STALL_CHECKS
            why = "took nothing of what was sent to it for %g s" % self._config.write_stall
            lost = [verdict.side for verdict in due if isinstance(verdict, Lost)]
            due += [Lost(link.side, why) for link in links if link.side not in lost and self._has_stalled(link, now)]
        if self.renewal is not None and now >= self.renewal.due:
            due.append(Renew(self.renewal.renew()))
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
        if self.renewal is not None:
            times.append(self.renewal.due)
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
            yield Lost(link.side, "silent for %g s" % link.keepalive.limit)

    @property
    def _message_interval(self) -> float:
        return self._config.message_timeout / MESSAGE_CHECKS

    def _is_late(self, link: Link, now: float) -> bool:
        """Returns True if the peer takes too long to finish its message.

        Times in which the connection is not read, or in which this process is suspended, do not count.
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


def _answers_pings(link: Link) -> bool:
    """Returns True if the peer counts as lost when it is silent for too long.

    Returns False if the peer is plain (cannot answer pings), or if its connection is not read now. But if such a peer
    has hung up, returns True. Two kinds of peer never count as lost because they have hung up:

    - An agent: its last output has to wait until the client reads it.
    - A plain peer whose FIN ends only one direction: it may still read.
    """
    return not (link.paused or link.plain) or (link.side is not Side.AGENT and not link.passes_fin and link.hung_up)

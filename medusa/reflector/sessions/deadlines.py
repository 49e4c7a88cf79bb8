"""The deadlines of one session: what is due now, and when to ask again. Pure: no I/O, and the time is passed in.

Times are in seconds of one monotonic clock. `check_links` judges the connections; `happened` returns the inputs of the
session's table that are due. Both may be called at any time; `next_check` and `next_input` say when something is due.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol

from medusa.protocol.keepalive import LOST_AFTER, Keepalive, Verdict
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.sessions.time_limits import TimeLimits
from medusa.session import Input, Side

STALL_CHECKS = 4
"""Checks in one `write_stall`: a stall is noticed too late by a quarter of that at most."""


class Link(Protocol):
    """What is asked of a connection; `relay.endpoint.Endpoint` explains each."""

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
    def hung_up(self) -> bool: ...
    @property
    def sent(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    def is_draining(self) -> bool: ...


class Ping(NamedTuple):
    """The peer is to be asked for a sign of life."""

    side: Side


class Lost(NamedTuple):
    """The peer is to be given up; `why` is for the usage record."""

    side: Side
    why: str


class Deadlines:
    """The deadlines of one session. Call `wait`, `link` and `finish` when the session gets so far."""

    __slots__ = ("_backlogs", "_closing", "_config", "_hurried", "_limits", "_next_stall_check", "_stalls", "_timed")

    def __init__(self, config: ReflectorConfig, now: float) -> None:
        self._config = config
        self._timed: dict[Input, float] = {}
        self._limits: TimeLimits | None = None
        self._closing = False
        self._hurried = False
        self._backlogs: dict[Side, int] | None = None  # at the last end of the close timeout
        self._next_stall_check = now if config.write_stall else math.inf
        self._stalls: dict[Side, tuple[int, int, float]] | None = None  # (backlog, sent, since when)

    def wait(self, now: float) -> None:
        """The client waits for an agent."""
        pulse = now + self._config.timeouts.wait_interval
        self._timed = {Input.WAIT_PULSE: pulse, Input.WAIT_EXPIRED: now + self._config.wait_timeout}

    def link(self, now: float) -> None:
        """The two sides are linked."""
        self._timed = {}
        if self._config.idle_timeout or self._config.max_duration:
            self._limits = TimeLimits(self._config.idle_timeout, self._config.max_duration, now)

    def finish(self, now: float) -> None:
        """The session closes: its sides have `close_timeout` to answer, or to go."""
        self._limits = None
        self._closing = True
        self._timed = {Input.CLOSE_EXPIRED: now + self._config.timeouts.close_timeout}

    def hurry(self) -> None:
        """Wait no longer than the close timeout, even if a client reads slowly."""
        self._hurried = True

    def left(self, now: float, links: Collection[Link]) -> tuple[float, float]:
        """Seconds to (the end by duration, the end by idleness) of a linked session; infinite without a limit."""
        return self._limits.left(now, active(links)) if self._limits is not None else (math.inf, math.inf)

    # ------------------------------------------------------------------ inputs of the session's table

    def happened(self, now: float, links: Collection[Link]) -> Input | None:
        """The input that is due now. Process it, and call again until None."""
        for happened, when in list(self._timed.items()):
            if when > now:
                continue
            if happened is Input.WAIT_PULSE:
                interval = self._config.timeouts.wait_interval
                self._timed[happened] = when + interval * (1 + (now - when) // interval)  # missed pulses are left out
            elif happened is Input.CLOSE_EXPIRED and self._is_read_slowly(links):
                self._timed[happened] = now + self._config.timeouts.close_timeout
                continue
            else:
                del self._timed[happened]
            return happened
        return self._limits.due(now, active(links)) if self._limits is not None else None

    def next_input(self, links: Collection[Link]) -> float:
        """When to call `happened`."""
        limit = self._limits.deadline(active(links)) if self._limits is not None else math.inf
        return min([limit, *self._timed.values()])

    def _is_read_slowly(self, links: Collection[Link]) -> bool:
        """Whether to wait longer for a peer that lives but has not received its Close yet.

        A client may stop reading for as long as its user likes (a pager, a stopped terminal): what the job wrote must
        not be cut off. An agent must make progress: nobody is left who could see its shell.
        """
        before = self._backlogs or {}
        self._backlogs = {link.side: link.backlog for link in links if link.open}
        if self._hurried:
            return False
        agent = self._backlogs.get(Side.AGENT, 0)
        return self._backlogs.get(Side.CLIENT, 0) > 0 or 0 < agent < before.get(Side.AGENT, agent + 1)

    # ------------------------------------------------------------------ connections

    def check_links(self, now: float, links: Collection[Link]) -> list[Ping | Lost]:
        """What is to be done with the connections now: by keepalive, and by the limit to write stalls."""
        due = [verdict for link in self._judged(links) for verdict in self._judge(link, now)]
        if now >= self._next_stall_check:
            self._next_stall_check = now + self._config.write_stall / STALL_CHECKS
            why = "took nothing of what was sent to it for %g s" % self._config.write_stall
            lost = [verdict.side for verdict in due if isinstance(verdict, Lost)]
            due += [Lost(link.side, why) for link in links if link.side not in lost and self._has_stalled(link, now)]
        return due

    def next_check(self, links: Collection[Link]) -> float:
        """When to call `check_links`."""
        return min([self._next_stall_check, *(link.keepalive.deadline() for link in self._judged(links))])

    def _judged(self, links: Collection[Link]) -> list[Link]:
        """The connections whose silence means something. A peer that got its Close has the close timeout instead."""
        return [link for link in links if link.open and (not self._closing or link.backlog)]

    def _judge(self, link: Link, now: float) -> Iterator[Ping | Lost]:
        if now < link.keepalive.deadline():
            return
        if link.is_draining() or not _answers_pings(link):
            link.keepalive.received(now)
        verdict = link.keepalive.check(now)
        if verdict is Verdict.PING:
            yield Ping(link.side)
        elif verdict is Verdict.LOST:
            yield Lost(link.side, "silent for %g s" % (LOST_AFTER * link.keepalive.interval))

    def _has_stalled(self, link: Link, now: float) -> bool:
        if not link.open:
            return False
        if self._stalls is None:
            self._stalls = {}
        # What the peer accepts makes the backlog smaller, or lets the kernel accept more.
        backlog, sent = link.backlog, link.sent
        before = self._stalls.get(link.side)
        if not backlog or before is None or before[:2] != (backlog, sent):
            self._stalls[link.side] = (backlog, sent, now)
            return False
        return now - before[2] >= self._config.write_stall


def active(links: Collection[Link]) -> float:
    """When the last terminal byte passed; before any, when the last side came."""
    return max(link.active for link in links)


def _answers_pings(link: Link) -> bool:
    """Whether the peer could show that it lives: not if it is not read, or plain.

    A peer that has hung up is judged all the same, except for an agent, whose last words are for the client to read in
    its own time, and a plain peer whose FIN leaves the other direction open.
    """
    return not (link.paused or link.plain) or (link.side is not Side.AGENT and not link.passes_fin and link.hung_up)

"""Limits the connections whose peers have not identified themselves, in all and from one source. sshd does the same.

A connection is counted from its acceptance until it becomes a link, is forwarded, is handed over to another worker, or
is closed. So a refused peer that does not hang up is counted too. No I/O; random numbers are passed in.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from medusa.protocol.errors import HandshakeError
from medusa.reflector.config import ReflectorConfig
from medusa.transports.interfaces import Share
from medusa.transports.relayed import UNCOUNTED, UNLIMITED

RETRY_AFTER = 5
"""The Retry-After, in seconds, for a peer that is dropped or refused."""

COPIES = 2
"""The number of copies of each received byte in memory until the request's head is whole.

The record of the connection (Accepted) holds one copy, and the reader of the head (HeadReader) holds another.
"""

IN_ALL, FROM_SOURCE, NO_ROOM = "all", "source", "descriptors"
"""The reasons to drop a connection: too many connections in all, too many from its source, too few descriptors."""


class Dropped(Exception):
    """Raised for a new connection that must be dropped, because too many peers have not identified themselves yet.

    `why`: IN_ALL (too many connections in all), FROM_SOURCE (too many from one address) or NO_ROOM (too few
    descriptors).
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Startups:
    """Counts the connections of one process whose peers have not identified themselves, and drops some of the new ones.

    The numbers `start`, `rate` and `full` are in ReflectorConfig.max_startups. If there are `start` connections, `rate`
    percent of the new ones are dropped, chosen at random. This share grows with the number of connections. If there are
    `full`, all new ones are dropped. So a peer that opens many connections cannot keep out all other peers. If there
    are too few descriptors for `full` connections, `start` and `full` are reduced in proportion.

    `draw` returns a random number from 0 to 1 (excluded).
    """

    def __init__(self, config: ReflectorConfig, draw: Callable[[], float] = random.random) -> None:
        self._start, self._rate, self._full = config.max_startups
        self._most_of_one = config.per_source_max_startups
        self._draw = draw
        self._all = 0
        self._by_source: Counter[str] = Counter()

    def __len__(self) -> int:
        """Returns the number of connections that are counted now."""
        return self._all

    def enter(self, source: str | None, room: float, *, early: bool = True) -> Startup:
        """Counts a new connection. Returns the Startup that counts it.

        Args:
            source: the key of the address that the connection comes from. None: the connection counts only in the
                number of all connections.
            room: the maximum number of such connections for which there are enough descriptors.
            early: True: the connection may be dropped at random, as the class describes. False: it is dropped only if
                `full` or `room` connections are counted already, or too many from its source.

        Raises:
            Dropped: there are too many such connections.
        """
        self._check(source)
        if self._draw() < self._probability(room, early):
            raise Dropped(IN_ALL)
        return Startup(self, source)

    def _probability(self, room: float, early: bool) -> float:
        if not self._full:
            return float(self._all >= room)
        full = min(self._full, room)
        start = self._start * full / self._full if early else full
        if self._all < start:
            return 0.0
        if self._all >= full:
            return 1.0
        rate = self._rate / 100
        return rate + (1 - rate) * (self._all - start) / (full - start)

    def _check(self, source: str | None) -> None:
        if source is not None and 0 < self._most_of_one <= self._by_source[source]:
            raise Dropped(FROM_SOURCE)

    def _count(self, source: str | None, number: int) -> None:
        if source is None:
            return
        self._by_source[source] += number
        if not self._by_source[source]:
            del self._by_source[source]


class Startup:
    """Counts one connection as not yet admitted, until `end` is called.

    Attributes:
        share: the part of the memory budget that is charged for the bytes of this peer.
    """

    __slots__ = ("_counted", "_held", "_over", "_source", "_startups", "share")

    def __init__(self, startups: Startups, source: str | None) -> None:
        self.share: Share = UNLIMITED
        self._startups, self._source, self._over = startups, source, False
        self._held = self._counted = 0
        startups._all += 1
        startups._count(source, 1)

    def move(self, source: str | None, share: Share = UNLIMITED) -> None:
        """Counts the connection under `source` from now on. Call this when a proxy has named the client.

        Args:
            source: the key of the client's address.
            share: the share of the memory budget in which the bytes held for the client are counted from now on.

        Raises:
            Dropped: too many connections of `source` have not identified themselves. The counts are unchanged.
        """
        if self._over or source == self._source:
            return
        self._startups._check(source)
        self._startups._count(self._source, -1)
        self._startups._count(source, 1)
        self._source = source
        self.share.add(-self._counted)
        share.add(self._counted)
        self.share = share

    def hold(self, size: int) -> None:
        """Counts the memory for `size` more bytes that have come from the peer. The first UNCOUNTED bytes are free.

        Raises:
            HandshakeError: 503, too many bytes are held already. The counts are unchanged.
        """
        if self._over:
            return
        more = max(0, COPIES * (self._held + size) - UNCOUNTED) - self._counted
        if more and (words := self.share.take(more)):
            raise HandshakeError(503, words, (("Retry-After", str(RETRY_AFTER)),))
        self._held += size
        self._counted += more

    def end(self) -> None:
        """Stops counting the connection. Call this when it is closed, or its peer has identified itself. Idempotent."""
        if not self._over:
            self._over = True
            self.share.add(-self._counted)
            self._startups._all -= 1
            self._startups._count(self._source, -1)

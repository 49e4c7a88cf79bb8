"""What lists and metrics show of one session: its state, its connections, and what has passed in all its pairs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from medusa.reflector.sessions.life.home import Home
from medusa.reflector.sessions.life.totals import Totals
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.sides import Sides
from medusa.session import ABSENT, CLOSING, HELD, Side, State, stage
from medusa.session.holding import HomeState


class Figures:
    """The part of a session that only tells about it.

    Attributes:
        pairs: the pairs that live, oldest first.
        home: the link of the agent that holds the session; None if no agent does.
    """

    __slots__ = ("_active", "_past", "home", "pairs")

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.home: Home | None = None
        self._past: Totals | None = None
        self._active = time.monotonic()

    @property
    def state(self) -> State:
        """LINKED if one of the pairs is linked; else the state of the oldest pair; ENDED after the last one is over."""
        states = [pair.state for pair in self.pairs]
        return State.LINKED if State.LINKED in states else states[0] if states else State.ENDED

    @property
    def stage(self) -> str:
        """The state for lists: claimed, waiting, linked, closing or ended.

        In addition: held, the agent is there, and no client is; absent, the agent is away.
        """
        if self.home is not None and self.state is not State.LINKED:
            if self.home.machine.state in (HomeState.ABSENT, HomeState.AWAITED):
                return ABSENT
            if not self.pairs:
                return HELD
        return stage(self.state)

    @property
    def held_until(self) -> float | None:
        """The time.time() at which the session ends unless its agent comes back; None if its agent is there."""
        return self.home.held_until if self.home is not None else None

    @property
    def legs(self) -> int:
        """The number of pairs that live."""
        return len(self.pairs)

    @property
    def clients(self) -> int:
        """The number of clients that are there."""
        return sum(pair.state not in CLOSING for pair in self.pairs)

    def has(self, side: Side) -> bool:
        """Returns True if `side` has attached, in any of the pairs or as the home link."""
        home = self.home is not None and self.home.is_there and side is Side.AGENT
        return home or any(side in sides for sides in self._sides())

    @property
    def links(self) -> int:
        """The number of the session's connections that are not closed, even if their peer has ended its stream."""
        return sum(sides.links for sides in self._sides()) + (self.home.links if self.home is not None else 0)

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the peers of the oldest pair that have attached, keyed by "client" and "agent".

        The agent's is that of its home link if there is one.
        """
        home = {Side.AGENT.value: self.home.address} if self.home is not None and self.home.address else {}
        return {**next((sides.addresses for sides in self._sides()), {}), **home}

    def active(self) -> float:
        """Returns the time.monotonic() of the last terminal byte in any of the pairs; see Sides.active.

        If there is no pair: the time at which the last pair has ended, or the session has begun.
        """
        return max((sides.active for sides in self._sides()), default=self._active)

    def counts(self) -> dict[str, int]:
        """Returns how many messages and bytes each side has sent to the other, in all pairs. See Sides.counts."""
        counts = Counter(self._past.counts if self._past is not None else {})
        for sides in self._sides():
            counts.update(sides.counts())
        return dict(counts)

    def terminal_bytes(self) -> dict[str, int]:
        """Returns how many bytes of terminal input and output have passed in all pairs. See Sides.terminal_bytes."""
        sizes = Counter(self._past.terminal_bytes if self._past is not None else {})
        for sides in self._sides():
            sizes.update(sides.terminal_bytes())
        return dict(sizes)

    def _sides(self) -> Iterator[Sides]:
        return (pair.sides for pair in self.pairs)

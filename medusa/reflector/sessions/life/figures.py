"""Computes what lists and metrics show of one session: its state, its connections, and the traffic in all its pairs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from medusa.reflector.sessions.life.home import Home
from medusa.reflector.sessions.life.totals import Totals
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.sides import Sides
from medusa.reflector.sessions.pair.usage import Usage
from medusa.session import ABSENT, CLOSING, HELD, Side, State, stage
from medusa.session.holding import HomeState


class Figures:
    """The base class of a session that computes what lists and metrics show of it. A pair is a client and its agent.

    Attributes:
        usage: the usage of the session, with what its peers say about themselves.
        pairs: the pairs that live, oldest first.
        home: the control connection of the agent that holds the session (keeps it alive without a client); None if no
            agent does.
    """

    __slots__ = ("_active", "_past", "home", "pairs")

    usage: Usage

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.home: Home | None = None
        self._past: Totals | None = None
        self._active = time.monotonic()

    @property
    def state(self) -> State:
        """LINKED if any of the pairs is linked, else the state of the oldest pair. ENDED if there is no pair."""
        states = [pair.state for pair in self.pairs]
        return State.LINKED if State.LINKED in states else states[0] if states else State.ENDED

    @property
    def stage(self) -> str:
        """The state that lists show: claimed, waiting, linked, closing, ended, held or absent.

        "held" means that the agent is there, and no client is. "absent" means that the agent is away, and the session
        lives on until it comes back.
        """
        if self.home is not None and self.state is not State.LINKED:
            if self.home.machine.state in (HomeState.ABSENT, HomeState.AWAITED):
                return ABSENT
            if not self.pairs:
                return HELD
        return stage(self.state)

    @property
    def held_until(self) -> float | None:
        """The time.time() until which the session is kept while it has no client or no agent.

        None if no such time is known, or if the session is not kept. See Keeping.
        """
        return self.home.keeping.until(self.usage.about.until) if self.home is not None else None

    @property
    def held_for(self) -> str | None:
        """The reason why the session is kept while it has no client or no agent. See Keeping.

        None if it is not kept.
        """
        return self.home.keeping.what if self.home is not None else None

    @property
    def command_end(self) -> str | None:
        """A text that says how a command has ended, if no client was told so; None if there is none."""
        return self.home.keeping.ended if self.home is not None else None

    @property
    def legs(self) -> int:
        """The number of pairs (a client and its agent) that live."""
        return len(self.pairs)

    @property
    def clients(self) -> int:
        """The number of clients that are there. A client whose pair is closing does not count."""
        return sum(pair.state not in CLOSING for pair in self.pairs)

    def has(self, side: Side) -> bool:
        """Returns True if the session has a connection of `side` (client or agent)."""
        home = self.home is not None and self.home.is_there and side is Side.AGENT
        return home or any(side in sides for sides in self._sides())

    @property
    def links(self) -> int:
        """The number of the session's connections that are not closed, even if their peer has ended its stream."""
        return sum(sides.links for sides in self._sides()) + (self.home.links if self.home is not None else 0)

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the client and the agent of the oldest pair, keyed by "client" and "agent".

        A peer that has not been let in is missing. If the agent has a control connection, its address there is used.
        """
        home = {Side.AGENT.value: self.home.address} if self.home is not None and self.home.address else {}
        return {**next((sides.addresses for sides in self._sides()), {}), **home}

    def active(self) -> float:
        """Returns the time.monotonic() at which terminal input or output has last passed in any pair; see Sides.active.

        If no pair is left, returns this time for the pairs that have ended. If there was never a pair, returns the time
        at which the session began.
        """
        return max((sides.active for sides in self._sides()), default=self._active)

    def counts(self) -> dict[str, int]:
        """Returns how many messages and bytes each side has sent to the other, in all pairs. See Sides.counts.

        Pairs that have ended are included.
        """
        counts = Counter(self._past.counts if self._past is not None else {})
        for sides in self._sides():
            counts.update(sides.counts())
        return dict(counts)

    def terminal_bytes(self) -> dict[str, int]:
        """Returns how many bytes of terminal input and output have passed in all pairs. See Sides.terminal_bytes.

        Pairs that have ended are included.
        """
        sizes = Counter(self._past.terminal_bytes if self._past is not None else {})
        for sides in self._sides():
            sizes.update(sides.terminal_bytes())
        return dict(sizes)

    def _sides(self) -> Iterator[Sides]:
        return (pair.sides for pair in self.pairs)

"""Sums over those legs of one session that are over, for its usage record and for lists."""

from __future__ import annotations

from medusa.reflector.sessions.pair.driver import Pair
from medusa.session import Outcome, Side


class Totals:
    """The sums over those legs of one session that are over. A leg is a pair of client and agent.

    Attributes:
        outcome, reason: how the session ends, and why. They are those of the hold, if an agent has held the session.
            Else they are those of the leg that ended last. Legs that were never linked do not count, unless there is no
            other.
        addresses: those of the first leg's client and agent, keyed by "client" and "agent".
        counts, terminal_bytes: see Sides.
    """

    __slots__ = ("_held", "_linked", "addresses", "counts", "outcome", "reason", "terminal_bytes")

    def __init__(self) -> None:
        self.outcome, self.reason = Outcome.ENDED, ""
        self.addresses: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.terminal_bytes: dict[str, int] = {}
        self._linked = self._held = False

    def hold(self, outcome: Outcome, reason: str, address: str) -> None:
        """Adds the hold of the session by its agent, which is over. Its outcome is that of the session.

        `address`: that of the agent.
        """
        self.outcome, self.reason, self._held = outcome, reason, True
        if address:
            self.addresses[Side.AGENT.value] = address

    def add(self, pair: Pair, outcome: Outcome) -> None:
        """Adds a leg that is over."""
        if not self._held and (pair.usage.was_linked or not self._linked):
            self.outcome, self.reason = outcome, pair.usage.reason
            self._linked = pair.usage.was_linked
        if pair.usage.leg == 1:
            self.addresses = {**pair.sides.addresses, **self.addresses}
        _add(self.counts, pair.sides.counts())
        _add(self.terminal_bytes, pair.sides.terminal_bytes())


def _add(sums: dict[str, int], counts: dict[str, int]) -> None:
    for key, count in counts.items():
        sums[key] = sums.get(key, 0) + count

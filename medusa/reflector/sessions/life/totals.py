"""Adds up the figures of the pairs of one session that have ended, for the log and for lists."""

from __future__ import annotations

from medusa.reflector.sessions.pair.driver import Pair
from medusa.session import Outcome, Side


class Totals:
    """Holds sums over the pairs of one session that have ended. A pair is a client and its agent.

    Attributes:
        outcome, reason: how the session has ended, and why. If an agent has held the session, they come from its home
            link. Otherwise they come from the linked pair that ended last. If no pair was ever linked, they come from
            the pair that ended last.
        addresses: the addresses of the first pair's client and agent, keyed by "client" and "agent".
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
        """Sets how the session has ended, because its agent does not hold it any more.

        Args:
            outcome, reason: how the hold has ended, and why.
            address: the agent's address; "" if it has never come.
        """
        self.outcome, self.reason, self._held = outcome, reason, True
        if address:
            self.addresses[Side.AGENT.value] = address

    def add(self, pair: Pair, outcome: Outcome) -> None:
        """Adds the figures of `pair`, which has ended with `outcome`."""
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

"""Peers that take nothing of what is written to them, where somebody has set a limit to that."""

from __future__ import annotations

from collections.abc import Iterable

from medusa.reflector.relay.endpoint import Endpoint
from medusa.session import Side

LOOKS = 4
"""Looks within the limit: a stall is noticed by a quarter of it too late, at the most."""


class Stalls:
    """One session's links. Times are in seconds, monotonic; `limit` is above 0.

    Attributes:
        next_look: when to call `look` again.
    """

    def __init__(self, limit: float, now: float) -> None:
        self.limit = limit
        self.next_look = now
        self._seen: dict[Side, tuple[int, int, float]] = {}

    def look(self, legs: Iterable[Endpoint], now: float) -> list[Endpoint]:
        """Those of `legs` that have taken nothing for as long as they may. Call when `next_look` has come."""
        self.next_look = now + self.limit / LOOKS
        return [leg for leg in legs if leg.gone is None and self._stalled(leg, now)]

    def _stalled(self, leg: Endpoint, now: float) -> bool:
        # What the peer takes makes the backlog smaller, or lets the kernel take more.
        backlog, sent = leg.backlog, leg.transport.sent
        before = self._seen.get(leg.side)
        if not backlog or before is None or before[:2] != (backlog, sent):
            self._seen[leg.side] = (backlog, sent, now)
            return False
        return now - before[2] >= self.limit

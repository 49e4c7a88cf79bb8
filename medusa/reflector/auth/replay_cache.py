"""Signatures that were used, remembered for as long as they could be used again."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class ReplayCache:
    """Digests of used signatures. `clock`: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[bytes, bool] = {}
        self._expiries: list[tuple[float, bytes]] = []

    def used(self, digest: bytes) -> bool:
        """True if `digest` was used and is still remembered."""
        return self._used.get(digest, False)

    def use(self, digest: bytes, until: float) -> None:
        """Remember `digest` until a time of `clock`."""
        self._forget_expired()
        if digest not in self._used:
            heapq.heappush(self._expiries, (until, digest))
        self._used[digest] = True

    def give_back(self, digest: bytes) -> None:
        """`digest` was not used after all."""
        if digest in self._used:  # it stays in the heap; without its entry here, the next use would push it again
            self._used[digest] = False

    def __len__(self) -> int:
        return len(self._expiries)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] < now:
            del self._used[heapq.heappop(self._expiries)[1]]

"""Remembers used signatures until they expire, so that none is used twice."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class ReplayCache:
    """The digests of used signatures. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[bytes, bool] = {}
        self._expiries: list[tuple[float, bytes]] = []

    def used(self, digest: bytes) -> bool:
        """Returns True if `digest` was used, and is still remembered."""
        return self._used.get(digest, False)

    def use(self, digest: bytes, until: float) -> None:
        """Remembers `digest` as used until `clock` shows the time `until`."""
        self._forget_expired()
        if digest not in self._used:
            heapq.heappush(self._expiries, (until, digest))
        self._used[digest] = True

    def give_back(self, digest: bytes) -> None:
        """Marks `digest` as unused again, because the request with it was not granted."""
        if digest in self._used:  # the heap still has it: without this entry, `use` would push it again
            self._used[digest] = False

    def entries(self) -> list[tuple[bytes, float]]:
        """Returns the digests that were used, each with the time until which it is remembered."""
        return [(digest, until) for until, digest in self._expiries if self.used(digest)]

    def __len__(self) -> int:
        return len(self._expiries)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] < now:
            del self._used[heapq.heappop(self._expiries)[1]]

"""What was signed and used, for as long as it could be used again."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Nonces:
    """Digests of used signatures. `clock`: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[bytes, bool] = {}
        self._expiries: list[tuple[float, bytes]] = []

    def used(self, digest: bytes) -> bool:
        """Whether it was used, and is remembered."""
        return self._used.get(digest, False)

    def use(self, digest: bytes, until: float) -> None:
        """Remember it until then."""
        self._forget_expired()
        if digest not in self._used:
            heapq.heappush(self._expiries, (until, digest))
        self._used[digest] = True

    def give_back(self, digest: bytes) -> None:
        """It was not used after all."""
        if digest in self._used:  # and is in the heap: to drop it here would put it there once more at the next use
            self._used[digest] = False

    def __len__(self) -> int:
        return len(self._expiries)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] < now:
            del self._used[heapq.heappop(self._expiries)[1]]

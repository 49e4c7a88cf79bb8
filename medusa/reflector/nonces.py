"""What was signed and used, for as long as it could be used again."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Nonces:
    """Digests of used signatures. `clock`: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: set[bytes] = set()
        self._expiries: list[tuple[float, bytes]] = []

    def used(self, digest: bytes) -> bool:
        """Whether it was used, and is remembered."""
        return digest in self._used

    def use(self, digest: bytes, until: float) -> None:
        """Remember it until then."""
        self._forget_expired()
        if digest not in self._used:
            self._used.add(digest)
            heapq.heappush(self._expiries, (until, digest))

    def give_back(self, digest: bytes) -> None:
        """It was not used after all."""
        self._used.discard(digest)

    def __len__(self) -> int:
        return len(self._used)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] < now:
            self._used.discard(heapq.heappop(self._expiries)[1])

"""Remembers used signatures until they expire, so that no signature is used twice."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class ReplayCache:
    """Remembers the digests of used signatures. `clock` returns seconds since the epoch.

    The digests are kept in one set for each time of expiry. A signature expires at a whole second, so there are few
    such sets even if many signatures are used.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[bytes, float] = {}  # by digest: the time until which it is remembered
        self._by_expiry: dict[float, set[bytes]] = {}
        self._expiries: list[float] = []  # a heap with the keys of `_by_expiry`

    def used(self, digest: bytes) -> bool:
        """Returns True if `digest` was used and is still remembered."""
        return digest in self._used

    def use(self, digest: bytes, until: float) -> None:
        """Remembers `digest` as used until `clock` shows the time `until`."""
        self._forget_expired()
        self.give_back(digest)
        if until not in self._by_expiry:
            self._by_expiry[until] = set()
            heapq.heappush(self._expiries, until)
        self._by_expiry[until].add(digest)
        self._used[digest] = until

    def give_back(self, digest: bytes) -> None:
        """Forgets `digest`, because the signed request was not granted."""
        until = self._used.pop(digest, None)
        if until is not None:
            self._by_expiry[until].discard(digest)

    def entries(self) -> list[tuple[bytes, float]]:
        """Returns the used digests, each with the time until which it is remembered."""
        return list(self._used.items())

    def __len__(self) -> int:
        """Returns the number of signatures that are remembered."""
        return len(self._used)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0] < now:
            for digest in self._by_expiry.pop(heapq.heappop(self._expiries)):
                del self._used[digest]

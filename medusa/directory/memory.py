"""The directory of one process."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from medusa.directory.base import TTL, Claim, Directory, Owner, SessionExists, StaleClaim


class MemoryDirectory(Directory):
    """Claims in a dict. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[str, tuple[Claim, float]] = {}
        self._lock = threading.Lock()

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """See Directory."""
        with self._lock:
            holder = self._holder(session_id)
            if holder is not None:
                raise SessionExists(holder.owner)
            claim = Claim(session_id, owner, secrets.token_hex(16))
            self._claims[session_id] = (claim, self._clock() + ttl)
            return claim

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """See Directory."""
        with self._lock:
            if self._holder(claim.session_id) != claim:
                raise StaleClaim
            self._claims[claim.session_id] = (claim, self._clock() + ttl)

    def release(self, claim: Claim) -> None:
        """See Directory."""
        with self._lock:
            if self._holder(claim.session_id) == claim:
                del self._claims[claim.session_id]

    def lookup(self, session_id: str) -> Owner | None:
        """See Directory."""
        with self._lock:
            holder = self._holder(session_id)
            return holder.owner if holder else None

    def _holder(self, session_id: str) -> Claim | None:
        claim, expiry = self._claims.get(session_id, (None, 0.0))
        if claim is not None and expiry <= self._clock():
            del self._claims[session_id]
            return None
        return claim

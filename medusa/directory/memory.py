"""The directory for a single process: it keeps the claims in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

from medusa.directory.base import TTL, Claim, Directory, Owner, SessionExists, StaleClaim, new_token


class MemoryDirectory(Directory):
    """A directory that keeps its claims in a dict. Threads may share it. `clock` returns monotonic seconds."""

    waits = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[str, tuple[Claim, float]] = {}
        self._lock = threading.Lock()

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """Claims the session id for `ttl` seconds, and returns the claim; see Directory.claim."""
        with self._lock:
            holder = self._holder(session_id)
            if holder is not None:
                raise SessionExists(holder)
            return self._put(session_id, owner, ttl)

    def inherit(self, old: Claim, ttl: float = TTL, owner: Owner | None = None) -> Claim:
        """Replaces the claim `old` with a new claim of `owner`, and returns the new claim; see Directory.inherit."""
        with self._lock:
            if self._holder(old.session_id) != old:
                raise StaleClaim
            return self._put(old.session_id, owner or old.owner, ttl)

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Makes the claim expire `ttl` seconds from now; see Directory.renew."""
        with self._lock:
            if self._holder(claim.session_id) != claim:
                raise StaleClaim
            self._claims[claim.session_id] = (claim, self._clock() + ttl)

    def release(self, claim: Claim) -> None:
        """Frees the session id that `claim` holds; see Directory.release."""
        with self._lock:
            if self._holder(claim.session_id) == claim:
                del self._claims[claim.session_id]

    def lookup(self, session_id: str) -> Owner | None:
        """Returns the reflector that holds the session id, or None if the id is free."""
        with self._lock:
            holder = self._holder(session_id)
            return holder.owner if holder else None

    def entries(self, limit: int) -> dict[str, Owner | None]:
        """Returns a dict of up to `limit` claimed session ids and their owners."""
        with self._lock:
            held = (claim for claim in map(self._holder, list(self._claims)) if claim is not None)
            return {claim.session_id: claim.owner for claim in islice(held, limit)}

    def leases(self) -> Directory:
        """Returns a new, empty directory for claims on the addresses of reflectors. Each call returns another one."""
        return MemoryDirectory(self._clock)

    def _put(self, session_id: str, owner: Owner, ttl: float) -> Claim:
        claim = Claim(session_id, owner, new_token(time.time()))
        self._claims[session_id] = (claim, self._clock() + ttl)
        return claim

    def _holder(self, session_id: str) -> Claim | None:
        claim, expiry = self._claims.get(session_id, (None, 0.0))
        if claim is not None and expiry <= self._clock():
            del self._claims[session_id]
            return None
        return claim

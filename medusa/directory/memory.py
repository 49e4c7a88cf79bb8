"""The directory for a single process: it keeps the claims in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from medusa.directory.base import TTL, Claim, Directory, Owner, SessionExists, StaleClaim
from medusa.directory.tokens import new_token


class MemoryDirectory(Directory):
    """A directory that keeps its claims in a dict. Threads may share it. `clock` returns monotonic seconds."""

    waits = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[str, tuple[Claim, float]] = {}
        self._granted: dict[str, tuple[int, float]] = {}  # by lease: how often it was touched, and when it expires
        self._lock = threading.Lock()

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL, lease: str = "") -> Claim:
        """Claims the session id for `ttl` seconds, and returns the claim; see Directory.claim."""
        with self._lock:
            holder = self._holder(session_id)
            if holder is not None:
                raise SessionExists(holder)
            return self._put(session_id, owner, ttl, lease)

    def inherit(self, old: Claim, ttl: float = TTL, owner: Owner | None = None, lease: str = "") -> Claim:
        """Replaces the claim `old` with a new claim of `owner`, and returns the new claim; see Directory.inherit."""
        with self._lock:
            if self._written(old.session_id) != old:
                raise StaleClaim
            return self._put(old.session_id, owner or old.owner, ttl, lease)

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Makes the claim expire `ttl` seconds from now; see Directory.renew."""
        with self._lock:
            if self._written(claim.session_id) != claim:
                raise StaleClaim
            self._claims[claim.session_id] = (claim, self._clock() + ttl)

    def release(self, claim: Claim) -> None:
        """Frees the session id that `claim` holds; see Directory.release."""
        with self._lock:
            if self._written(claim.session_id) == claim:
                del self._claims[claim.session_id]

    def lookup(self, session_id: str) -> Owner | None:
        """Returns the reflector that holds the session id, or None if the id is free."""
        with self._lock:
            holder = self._holder(session_id)
            return holder.owner if holder else None

    def scan(self, cursor: str = "", begin: str = "") -> tuple[dict[str, Owner | None], str]:
        """Returns a dict of all claimed session ids that begin with `begin` and their owners, and ""."""
        with self._lock:
            names = [name for name in self._claims if name.startswith(begin)]
            held = (claim for claim in map(self._holder, names) if claim is not None)
            return {claim.session_id: claim.owner for claim in held}, ""

    def grant(self, lease: str, ttl: float = TTL) -> bool:
        """Begins the lease with the id `lease`; see Directory.grant."""
        with self._lock:
            if self._lives(lease):
                return False
            self._granted[lease] = (0, self._clock() + ttl)
            return True

    def keep(self, lease: str, ttl: float = TTL) -> str | None:
        """Makes the lease expire `ttl` seconds from now; see Directory.keep."""
        with self._lock:
            if not self._lives(lease):
                return None
            touched = self._granted[lease][0]
            self._granted[lease] = (touched, self._clock() + ttl)
            return str(touched)

    def touch(self, lease: str) -> None:
        """Tells the process that keeps the lease that it may have lost a claim; see Directory.touch."""
        with self._lock:
            if self._lives(lease):
                touched, expiry = self._granted[lease]
                self._granted[lease] = (touched + 1, expiry)

    def revoke(self, lease: str) -> None:
        """Ends the lease; see Directory.revoke."""
        with self._lock:
            self._granted.pop(lease, None)

    def leases(self) -> Directory:
        """Returns a new, empty directory for claims on the addresses of reflectors. Each call returns another one."""
        return MemoryDirectory(self._clock)

    def _put(self, session_id: str, owner: Owner, ttl: float, lease: str) -> Claim:
        claim = Claim(session_id, owner, new_token(time.time(), lease))
        self._claims[session_id] = (claim, self._clock() + ttl)
        return claim

    def _holder(self, session_id: str) -> Claim | None:
        """Returns the claim that holds the session id; None if the id is free."""
        claim = self._written(session_id)
        if claim is not None and claim.lease and not self._lives(claim.lease):
            del self._claims[session_id]
            return None
        return claim

    def _written(self, session_id: str) -> Claim | None:
        """Returns the claim on the session id that has not expired, even if its lease has ended."""
        claim, expiry = self._claims.get(session_id, (None, 0.0))
        if claim is not None and expiry <= self._clock():
            del self._claims[session_id]
            return None
        return claim

    def _lives(self, lease: str) -> bool:
        if lease in self._granted and self._granted[lease][1] <= self._clock():
            del self._granted[lease]
        return lease in self._granted

"""The directory that several reflectors share, in Redis.

Each claim is a key of Redis, which expires. The key's value is an entry in the form that medusa.directory.seal
describes.
Each mark (see Mark) is a key as well. Its value is "reserved TOKEN", "confirmed TOKEN" or "used TOKEN".
Each lease is a key. Its value is a text, which `touch` changes; it is believed no more than to check some claims.

No script reads a claim and its lease at once, because a Redis Cluster has them on different servers. This does no harm,
since a lease that has ended never begins again: a claim whose lease was missing once can be replaced at any later time,
if its entry is still the same.
"""

from __future__ import annotations

import copy
import secrets
import time
from typing import Any

from medusa.directory.base import (
    CONNECTIONS,
    TIMEOUT,
    TTL,
    BrokenEntry,
    Claim,
    Directory,
    Mark,
    Owner,
    SessionExists,
    StaleClaim,
)
from medusa.directory.redis_commands.scan import BATCH, LONG_STEP, STEP, exist, scan, values
from medusa.directory.redis_commands.scripts import (
    CLAIM,
    CONCLUDE,
    KEEP,
    LOOKUP,
    RELEASE,
    RENEW,
    REPLACE,
    TAKE_OVER,
    TOUCH,
)
from medusa.directory.redis_pool import RedisPool
from medusa.directory.redis_url import parse
from medusa.directory.seal import Seal
from medusa.directory.tokens import new_token

PREFIX = "medusa:"

_TRIES = 3
"""The maximum number of claims on one session id whose leases have ended that `claim` meets, one after another."""

_SESSIONS, _REFLECTORS, _MARKS, _LEASES = "session:", "reflector:", "used:", "lease:"
"""The part of a Redis key after the prefix. It tells what the key stands for.

These are the parts for a session id, for a reflector's address, for a mark (see Mark), and for a lease.
"""

_RESERVED, _CONFIRMED, _USED = "reserved ", "confirmed ", "used "


class RedisDirectory(Directory):
    """A directory in Redis. It connects when one of its methods is called, not when it is created.

    Args:
        url: the address of the store, see medusa.directory.redis_url.
        timeout: seconds for a server to accept a connection, and as many again to answer a command.
        connections: the maximum number of connections. If all are busy, a method waits up to `timeout` seconds for
            one of them.
        secret: the secret of all reflectors that share the store. A claim that was written without this secret counts
            as broken (see BrokenEntry).

    Raises:
        DirectoryError: `url` is malformed.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT, connections: int = CONNECTIONS, secret: bytes = b"") -> None:
        parsed = parse(url)
        self._pool = RedisPool(parsed, timeout, connections)
        self._prefix = parsed.options.get("prefix", PREFIX)
        self._names = _SESSIONS
        self._seal = Seal(secret)

    def leases(self) -> Directory:
        """Returns a directory for claims on the addresses of reflectors. It shares the connections of this one."""
        leases = copy.copy(self)
        leases._names = _REFLECTORS
        return leases

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL, lease: str = "") -> Claim:
        """Claims the session id for `ttl` seconds, and returns the claim; see Directory.claim."""
        claim = Claim(session_id, owner, new_token(time.time(), lease))
        ended: tuple[bytes, ...] = ()  # the entry of a claim whose lease has ended
        for tries_left in reversed(range(_TRIES)):
            script = TAKE_OVER if ended else CLAIM
            held = self._run(script, self._key(session_id), self._entry(claim), _ms(ttl), *ended)
            if held is None:
                break
            holder = self._read(session_id, held)
            if not tries_left or self._lives(holder):
                raise SessionExists(holder)
            ended = (held,)
        return claim

    def inherit(self, old: Claim, ttl: float = TTL, owner: Owner | None = None, lease: str = "") -> Claim:
        """Replaces the claim `old` with a new claim of `owner`, and returns the new claim; see Directory.inherit."""
        claim = Claim(old.session_id, owner or old.owner, new_token(time.time(), lease))
        if not self._run(REPLACE, self._key(old.session_id), self._entry(claim), _ms(ttl), self._entry(old)):
            raise StaleClaim
        return claim

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Makes the claim expire `ttl` seconds from now; see Directory.renew."""
        if not self._run(RENEW, self._key(claim.session_id), self._entry(claim), _ms(ttl)):
            raise StaleClaim

    def release(self, claim: Claim) -> None:
        """Frees the session id that `claim` holds; see Directory.release."""
        self._run(RELEASE, self._key(claim.session_id), self._entry(claim))

    def lookup(self, session_id: str) -> Owner | None:
        """Returns the reflector that holds the session id, or None if the id is free."""
        entry = self._run(LOOKUP, self._key(session_id))
        if entry is None:
            return None
        claim = self._read(session_id, entry)
        return claim.owner if self._lives(claim) else None

    def scan(self, cursor: str = "", begin: str = "") -> tuple[dict[str, Owner | None], str]:
        """Returns a part of the claims, and where the next part begins; see Directory.scan.

        Lets other threads or greenlets run after each BATCH claims.
        """
        prefix = self._key("")
        found: dict[str, Owner | None] = {}
        lives = {"": True}  # by lease
        with self._pool.client() as client:
            keys, cursor = scan(client, self._key(begin), cursor, LONG_STEP if self._names == _REFLECTORS else STEP)
            for at in range(0, len(keys), BATCH):
                some = keys[at : at + BATCH]
                claims = self._claims(prefix, dict(zip(some, values(client, some), strict=True)))
                leases = {name: claim.lease if claim is not None else "" for name, claim in claims.items()}
                new = [lease for lease in set(leases.values()) if lease not in lives]
                lives |= zip(new, exist(client, [self._lease(lease) for lease in new]), strict=True)
                for name, claim in claims.items():
                    if lives[leases[name]]:
                        found[name] = claim.owner if claim is not None else None
                time.sleep(0)  # to read the answers does not wait for Redis if they are already here
        return found, cursor

    def grant(self, lease: str, ttl: float = TTL) -> bool:
        """Begins the lease with the id `lease`; see Directory.grant."""
        with self._pool.client() as client:
            return bool(client.set(self._lease(lease), "granted", nx=True, px=_ms(ttl)))

    def keep(self, lease: str, ttl: float = TTL) -> str | None:
        """Makes the lease expire `ttl` seconds from now; see Directory.keep."""
        text = self._run(KEEP, self._lease(lease), _ms(ttl))
        return None if text is None else text.decode(errors="replace")

    def touch(self, lease: str) -> None:
        """Tells the process that keeps the lease that it may have lost a claim; see Directory.touch."""
        self._run(TOUCH, self._lease(lease), "touched " + secrets.token_hex(8))

    def revoke(self, lease: str) -> None:
        """Ends the lease; see Directory.revoke."""
        with self._pool.client() as client:
            client.delete(self._lease(lease))

    def spend(self, mark: str, ttl: float) -> bool:
        """Records for `ttl` seconds that `mark` is used. Returns True if it was unused before. See Directory.spend."""
        return self._run(CLAIM, self._mark(mark), _USED + secrets.token_hex(16), _ms(ttl)) is None

    def is_spent(self, mark: str) -> bool:
        """Returns True if `mark` is used."""
        held = self._run(LOOKUP, self._mark(mark))
        return held is not None and not held.startswith((_RESERVED.encode(), _CONFIRMED.encode()))

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        """Reserves `mark` for `ttl` seconds if it is free. Returns its state before. See Directory.reserve."""
        held = self._run(CLAIM, self._mark(mark), _RESERVED + token, _ms(ttl))
        if held is None:
            return Mark.FREE
        # A mark that an older version has written has another form. Such a mark is used.
        return Mark.RESERVED if held.startswith((_RESERVED.encode(), _CONFIRMED.encode())) else Mark.USED

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends a reservation of `mark` to `ttl` seconds from now. Returns False if there is none.

        See Directory.confirm.
        """
        return bool(self._run(REPLACE, self._mark(mark), _CONFIRMED + use, _ms(ttl), _RESERVED + token))

    def settle(self, mark: str, use: str) -> None:
        """Records that `mark` is used, if `confirm` with the same text `use` has succeeded; see Directory.settle."""
        self._run(CONCLUDE, self._mark(mark), _CONFIRMED + use, _USED + use)

    def give_back(self, mark: str, *tokens: str) -> None:
        """Makes `mark` unused again, if it was reserved or confirmed with one of `tokens`; see Directory.give_back."""
        states = (_RESERVED, _CONFIRMED, _USED)
        self._run(RELEASE, self._mark(mark), *(state + token for token in tokens for state in states))

    def close(self) -> None:
        """Closes the connections to Redis; see Directory.close. Only one thread may call this method."""
        self._pool.close()

    def _key(self, session_id: str) -> bytes:
        return (self._prefix + self._names + session_id).encode()

    def _mark(self, mark: str) -> bytes:
        return (self._prefix + _MARKS + mark).encode()

    def _lease(self, lease: str) -> bytes:
        return (self._prefix + _LEASES + lease).encode()

    def _lives(self, claim: Claim) -> bool:
        """Returns False if the claim depends on a lease that has ended."""
        if not claim.lease:
            return True
        with self._pool.client() as client:
            return bool(client.exists(self._lease(claim.lease)))

    def _entry(self, claim: Claim) -> bytes:
        return self._seal.entry(self._key(claim.session_id), claim)

    def _read(self, session_id: str, entry: bytes) -> Claim:
        return self._seal.read(self._key(session_id), session_id, entry)

    def _claims(self, prefix: bytes, entries: dict[bytes, bytes | None]) -> dict[str, Claim | None]:
        """Returns the claims in `entries`, by session id. The claim is None if its entry is broken."""
        found: dict[str, Claim | None] = {}
        for key, entry in entries.items():
            if entry != b"":
                session_id = key[len(prefix) :].decode(errors="replace")
                try:
                    found[session_id] = None if entry is None else self._seal.read(key, session_id, entry)
                except BrokenEntry:
                    found[session_id] = None
        return found

    def _run(self, script: str, key: bytes, *arguments: bytes | str | int) -> Any:
        with self._pool.client() as client:
            return client.eval(script, 1, key, *arguments)


def _ms(seconds: float) -> int:
    return max(1, round(1000 * seconds))

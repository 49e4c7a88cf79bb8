"""The directory that several reflectors share, in Redis.

Each claim is a key of Redis, which expires. The key's value is an entry in the form that medusa.directory.seal
describes.
Each mark (see Mark) is a key as well. Its value is "reserved TOKEN", "confirmed TOKEN" or "used TOKEN".
Redis runs the scripts below. Each script changes a key only if the key's present value is the expected one.

Commands read at most MAX_ENTRY bytes of a value, because another program may have stored a value of any size.
"""

from __future__ import annotations

import copy
import re
import secrets
import time
from collections.abc import Callable, Iterator
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
    new_token,
)
from medusa.directory.redis_pool import RedisPool, is_wrong_type
from medusa.directory.redis_url import parse
from medusa.directory.seal import MAX_ENTRY, Seal

PREFIX = "medusa:"

LIST_TIMEOUT = 5.0
"""Seconds after which `entries` ends its search: the store may have very many keys, and it has to look at all."""

_BATCH = 1000
"""The number of keys whose values are read at the same time."""

_SESSIONS, _REFLECTORS, _MARKS = "session:", "reflector:", "used:"
"""The part of a Redis key after the prefix. It tells what the key stands for.

These are the parts for a session id, for a reflector's address, and for a mark (see Mark).
"""

_RESERVED, _CONFIRMED, _USED = "reserved ", "confirmed ", "used "

# GETRANGE answers an empty string for a missing key, too.
_READ = "local held = redis.call('GETRANGE', KEYS[1], 0, %d)\n" % MAX_ENTRY

# A script runs a second time if its first answer was lost. So it also succeeds if the key already has the new value.
_CLAIM = (
    _READ
    + """
if held ~= ARGV[1] and (held ~= '' or redis.call('EXISTS', KEYS[1]) == 1) then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
)
_LOOKUP = (
    _READ
    + """
if held == '' and redis.call('EXISTS', KEYS[1]) == 0 then return false end
return held
"""
)
_REPLACE = (
    _READ
    + """
if held ~= ARGV[1] and held ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
_RENEW = (
    _READ
    + """
if held ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)
_CONCLUDE = (
    _READ
    + """
if held == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', redis.call('PTTL', KEYS[1])) end
return held
"""
)
_RELEASE = (
    _READ
    + """
for _, value in ipairs(ARGV) do
  if held == value then return redis.call('DEL', KEYS[1]) end
end
return 0
"""
)


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

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """Claims the session id for `ttl` seconds, and returns the claim; see Directory.claim."""
        claim = Claim(session_id, owner, new_token(time.time()))
        held = self._run(_CLAIM, self._key(session_id), self._entry(claim), _ms(ttl))
        if held is not None:
            raise SessionExists(self._read(session_id, held))
        return claim

    def inherit(self, old: Claim, ttl: float = TTL, owner: Owner | None = None) -> Claim:
        """Replaces the claim `old` with a new claim of `owner`, and returns the new claim; see Directory.inherit."""
        claim = Claim(old.session_id, owner or old.owner, new_token(time.time()))
        if not self._run(_REPLACE, self._key(old.session_id), self._entry(claim), _ms(ttl), self._entry(old)):
            raise StaleClaim
        return claim

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Makes the claim expire `ttl` seconds from now; see Directory.renew."""
        if not self._run(_RENEW, self._key(claim.session_id), self._entry(claim), _ms(ttl)):
            raise StaleClaim

    def release(self, claim: Claim) -> None:
        """Frees the session id that `claim` holds; see Directory.release."""
        self._run(_RELEASE, self._key(claim.session_id), self._entry(claim))

    def lookup(self, session_id: str) -> Owner | None:
        """Returns the reflector that holds the session id, or None if the id is free."""
        entry = self._run(_LOOKUP, self._key(session_id))
        return None if entry is None else self._read(session_id, entry).owner

    def entries(self, limit: int) -> dict[str, Owner | None]:
        """Returns a dict of up to `limit` claimed session ids and their owners; see Directory.entries.

        If the store has very many keys, some claims may be missing, because the search ends after LIST_TIMEOUT seconds.
        """
        found: dict[str, Owner | None] = {}
        deadline = time.monotonic() + LIST_TIMEOUT
        prefix = self._key("")
        with self._pool.client() as client:
            keys = client.scan_iter(match=_literal(prefix) + b"*", count=_BATCH)
            for batch in _batches(keys, lambda: len(found) < limit and time.monotonic() < deadline):
                for key, entry in zip(batch, _values(client, batch), strict=True):
                    if entry != b"" and len(found) < limit:
                        session_id = key[len(prefix) :].decode(errors="replace")
                        found[session_id] = self._owner(key, session_id, entry)
        return found

    def spend(self, mark: str, ttl: float) -> bool:
        """Records for `ttl` seconds that `mark` is used. Returns True if it was unused before. See Directory.spend."""
        return self._run(_CLAIM, self._mark(mark), _USED + secrets.token_hex(16), _ms(ttl)) is None

    def is_spent(self, mark: str) -> bool:
        """Returns True if `mark` is used."""
        held = self._run(_LOOKUP, self._mark(mark))
        return held is not None and not held.startswith((_RESERVED.encode(), _CONFIRMED.encode()))

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        """Reserves `mark` for `ttl` seconds if it is free. Returns its state before. See Directory.reserve."""
        held = self._run(_CLAIM, self._mark(mark), _RESERVED + token, _ms(ttl))
        if held is None:
            return Mark.FREE
        # A mark that an older version has written has another form. Such a mark is used.
        return Mark.RESERVED if held.startswith((_RESERVED.encode(), _CONFIRMED.encode())) else Mark.USED

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends a reservation of `mark` to `ttl` seconds from now. Returns False if there is none.

        See Directory.confirm.
        """
        return bool(self._run(_REPLACE, self._mark(mark), _CONFIRMED + use, _ms(ttl), _RESERVED + token))

    def settle(self, mark: str, use: str) -> None:
        """Records that `mark` is used, if `confirm` with the same text `use` has succeeded; see Directory.settle."""
        self._run(_CONCLUDE, self._mark(mark), _CONFIRMED + use, _USED + use)

    def give_back(self, mark: str, *tokens: str) -> None:
        """Makes `mark` unused again, if it was reserved or confirmed with one of `tokens`; see Directory.give_back."""
        states = (_RESERVED, _CONFIRMED, _USED)
        self._run(_RELEASE, self._mark(mark), *(state + token for token in tokens for state in states))

    def close(self) -> None:
        """Closes the connections to Redis; see Directory.close. Only one thread may call this method."""
        self._pool.close()

    def _key(self, session_id: str) -> bytes:
        return (self._prefix + self._names + session_id).encode()

    def _mark(self, mark: str) -> bytes:
        return (self._prefix + _MARKS + mark).encode()

    def _entry(self, claim: Claim) -> bytes:
        return self._seal.entry(self._key(claim.session_id), claim)

    def _read(self, session_id: str, entry: bytes) -> Claim:
        return self._seal.read(self._key(session_id), session_id, entry)

    def _owner(self, key: bytes, session_id: str, entry: bytes | None) -> Owner | None:
        try:
            return None if entry is None else self._seal.read(key, session_id, entry).owner
        except BrokenEntry:
            return None

    def _run(self, script: str, key: bytes, *arguments: bytes | str | int) -> Any:
        with self._pool.client() as client:
            return client.eval(script, 1, key, *arguments)


def _values(client: Any, keys: list[bytes]) -> list[bytes | None]:
    """Returns the first bytes of each key's value: b"" if there is no such key, None if its value is not a string."""
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.getrange(key, 0, MAX_ENTRY)
    answers = pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not is_wrong_type(answer):
            raise answer
    return [answer if isinstance(answer, bytes) else None for answer in answers]


def _batches(keys: Iterator[bytes], go_on: Callable[[], bool]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for key in keys:
        batch.append(key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
        if not go_on():
            break
    if batch:
        yield batch


def _ms(seconds: float) -> int:
    return max(1, round(1000 * seconds))


def _literal(text: bytes) -> bytes:
    r"""Returns a pattern for the command SCAN of Redis that matches only the text `text` itself."""
    return re.sub(rb"([\\*?\[\]^])", rb"\\\1", text)

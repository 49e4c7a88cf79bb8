"""Limits how many peers may connect, and how many sessions may live and wait. Ordinary use stays far below the limits.

The counts are kept in the memory of this process only. A method reads and changes them in one step, without a request
to another process, so that no two peers can get the same last place.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal
from medusa.session import Side

MINUTE = 60.0

MAX_REMEMBERED = 16384
"""The maximum number of keys in one RateLimits. The least recently used key is forgotten first."""

FULL_RETRY_AFTER = 5
"""The Retry-After, in seconds, for a client that is refused because this process has too many sessions."""

OWN_RETRY_AFTER = 10
"""The Retry-After, in seconds, for a client whose login, or whose address, has too many sessions."""

MIN_TRIES = 10
"""The lowest limit for the tries in a minute to attach to one session; see `Limits`."""

TRIES_SHARE = 10
"""The agents of one session may make 1 / TRIES_SHARE of the tries that all agents of its login may; so may clients."""


class RateLimits:
    """A rate limit for each key: `limit` events a minute, which may come in one burst. 0 for no limit.

    The algorithm is virtual scheduling (GCRA). For each key it stores the time at which the key's bucket is full
    again. A key that is absent has a full bucket.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._step = MINUTE / limit if limit else 0.0
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """Counts one event of `key`, and returns 0.0.

        If the event exceeds the limit, does not count it, and returns the seconds to wait until the next try.
        """
        if not self._step:
            return 0.0
        now = self._clock()
        full_at = max(now, self._full_at.get(key, 0.0)) + self._step
        if full_at - now > MINUTE + 1e-6:  # tolerance, because the sum of many steps is not exact
            return full_at - now - MINUTE
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        while self._full_at:
            key, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= MAX_REMEMBERED:
                break
            del self._full_at[key]

    def __len__(self) -> int:
        return len(self._full_at)


Key = tuple[str, str]
"""The key of a count: (Cap.words, the login or address whose sessions are counted). ("", "") for all sessions."""

_ALL: Key = ("", "")
_LOGIN_FULL = "this login has as many sessions as it may (--max-sessions-per-login)"
_ADDRESS_FULL = "this address has as many sessions without a login as it may (--max-sessions-per-address)"
_WAITING = "too many sessions of this %s wait for an agent (--max-waiting-per-%s)"


class Place:
    """The part that one session has in the counts, from the time before its name is claimed until it is over.

    Both methods are idempotent, so each count ends exactly once.
    """

    __slots__ = ("_counts", "_living", "_waiting")

    def __init__(self, counts: Counter[Key], living: tuple[Key, ...], waiting: tuple[Key, ...]) -> None:
        self._counts, self._living, self._waiting = counts, living, waiting
        counts.update((*living, *waiting))

    def stop_waiting(self) -> None:
        """Stops counting the session as waiting: its agent has arrived, or it is over."""
        keys, self._waiting = self._waiting, ()
        self._forget(keys)

    def leave(self) -> None:
        """Stops counting the session everywhere: it is over, or was not created."""
        self.stop_waiting()
        keys, self._living = self._living, ()
        self._forget(keys)

    def _forget(self, keys: tuple[Key, ...]) -> None:
        for key in keys:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]


class Cap(NamedTuple):
    """The most sessions that one login, or one address, may have.

    Attributes:
        of: which sessions are counted: "login" for those of one login, "address" for those of one address, "nameless
            address" for those of one address that have no login.
        waiting: True if only the sessions that wait for an agent are counted.
        most: the limit; 0 for none.
        words: the text of the refusal.
    """

    of: str
    waiting: bool
    most: int
    words: str


class Limits:
    """The limits for peers of one process. An argument `login` or `address` that is None, or "", is not counted.

    The tries of clients to connect and those of agents are counted separately. So a thief of the URL for the agent of a
    job cannot keep out the clients of the job's login. Besides, one session may make only a part of the tries of its
    login. So the thief cannot keep out the agents of the login's other jobs either. The same holds for a client's URL.
    """

    def __init__(self, config: ReflectorConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_sessions = config.max_sessions
        self._caps = [
            Cap("login", False, config.sessions_per_login, _LOGIN_FULL),
            Cap("nameless address", False, config.sessions_per_address, _ADDRESS_FULL),
            Cap("login", True, config.max_waiting_per_login, _WAITING % ("login", "login")),
            Cap("address", True, config.max_waiting_per_address, _WAITING % ("address", "address")),
        ]
        tries = config.max_connects_per_minute
        self._by_address = {side: RateLimits(tries, clock) for side in Side}
        self._by_login = {side: RateLimits(tries, clock) for side in Side}
        share = min(tries, max(MIN_TRIES, tries // TRIES_SHARE))
        self._by_session = {side: RateLimits(share, clock) for side in Side}
        self._counts: Counter[Key] = Counter()

    def connect(
        self,
        *,
        address: str | None = None,
        login: str | None = None,
        session: str | None = None,
        side: Side = Side.CLIENT,
    ) -> None:
        """Counts a peer that wants to attach at `side`. Raises Refusal (429) if there were too many in the last minute.

        `session`: the name of the session for which the peer has shown a valid signature.
        """
        for rates, key, what in (
            (self._by_address[side], address, "from this address"),
            (self._by_session[side], session, "to this session"),
            (self._by_login[side], login, "from this login"),
        ):
            wait = rates.take(key) if key else 0.0
            if wait:
                raise _exceeded("too many connections a minute %s (--max-connects-per-minute)" % what, wait)

    def enter(self, *, address: str | None, login: str | None) -> Place:
        """Counts a session that is about to begin, also as waiting for an agent. Returns its place in the counts.

        Raises:
            Refusal: 429 if its login, or its address, has too many sessions, or too many sessions that wait; 503 if
                there are too many sessions in all.
        """
        names = {"login": login, "address": address, "nameless address": None if login else address}
        keys: dict[bool, list[Key]] = {False: [_ALL], True: []}
        for cap in self._caps:
            name = names[cap.of]
            if name:
                key = (cap.words, name)
                if 0 < cap.most <= self._counts[key]:
                    raise _exceeded(cap.words, OWN_RETRY_AFTER)
                keys[cap.waiting].append(key)
        if 0 < self._max_sessions <= self._counts[_ALL]:
            words = "this reflector has as many sessions as it may (--max-sessions)"
            raise Refusal(503, words, retry_after=FULL_RETRY_AFTER)
        return Place(self._counts, tuple(keys[False]), tuple(keys[True]))

    def __len__(self) -> int:
        """Returns how many keys are counted now."""
        return len(self._counts)


def _exceeded(words: str, retry_after: float) -> Refusal:
    """Returns the refusal (429) for a limit that was exceeded. `retry_after`: seconds."""
    return Refusal(429, words, retry_after=max(1, math.ceil(retry_after)))

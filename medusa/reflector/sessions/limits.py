"""Limits how many peers may connect, and how many sessions may live and wait. Ordinary use stays far below the limits.

The counts are kept in the memory of this process only. A method checks a count and increases it in one step, because it
asks no other process. So two peers cannot both get the last free place.
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
"""The limit of tries (attempts to attach) per minute for one session is at least this, unless its login's is lower."""

RETURNS_PER_LOGIN = 10
"""All peers of a login may come back so many times as often as one peer of one session may."""

TRIES_SHARE = 10
"""The agents of one session may make 1 / TRIES_SHARE of the tries that all agents of its login may make.

The same holds for clients. A try is an attempt to attach. A login is the name of an account.
"""


class RateLimits:
    """Limits the events of each key to `limit` a minute. If `limit` is 0, there is no limit.

    All events of a minute may come in one burst. The algorithm is virtual scheduling (GCRA). For each key it stores the
    time from which `limit` events may come in one burst again. For a key that is absent, they may come now.
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

    def give_back(self, key: str) -> None:
        """Undoes one call of `take` for `key`. Does nothing if the key is not remembered any more."""
        if key in self._full_at:
            self._full_at[key] -= self._step

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
_ALL_HELD: Key = ("held", "")
_HELD = "this login has as many held sessions as it may (--max-held-sessions-per-login)"
_LOGIN_FULL = "this login has as many sessions as it may (--max-sessions-per-login)"
_ADDRESS_FULL = "this address has as many sessions without a login as it may (--max-sessions-per-address)"
_WAITING = "too many sessions of this %s wait for an agent (--max-waiting-per-%s)"


class Place:
    """Counts one session for the limits, such as the limit for the number of sessions of a login.

    The session is counted from the creation of this object, before its name is claimed, until `leave`. Each method may
    be called more than once: further calls do nothing.
    """

    __slots__ = ("_counts", "_living", "_waiting")

    def __init__(self, counts: Counter[Key], living: tuple[Key, ...], waiting: tuple[Key, ...]) -> None:
        self._counts, self._living, self._waiting = counts, living, waiting
        counts.update((*living, *waiting))

    def stop_waiting(self) -> None:
        """Stops counting the session as one that waits for an agent. It still counts as a session.

        Call this when its agent has come.
        """
        keys, self._waiting = self._waiting, ()
        self._forget(keys)

    def leave(self) -> None:
        """Stops counting the session. Call this when it is over, or if it could not be created."""
        self.stop_waiting()
        keys, self._living = self._living, ()
        self._forget(keys)

    def _forget(self, keys: tuple[Key, ...]) -> None:
        for key in keys:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]


class Cap(NamedTuple):
    """A limit for the number of sessions that one login, or one address, may have at a time.

    Attributes:
        of: which sessions are counted: "login" for those of one login, "address" for those of one address, "nameless
            address" for those of one address that have no login.
        waiting: True if only the sessions that wait for an agent are counted.
        most: the limit; 0 for none.
        words: the text for a peer that is refused because of this limit.
    """

    of: str
    waiting: bool
    most: int
    words: str


class Limits:
    """Counts the peers and the sessions of one process, and refuses a peer that would exceed a limit.

    If an argument `login` or `address` of a method is None or "", the method counts nothing under it.

    A try is an attempt of a peer to attach. Someone may steal the URL with which the agent of a job attaches, and make
    many tries with it. This must not keep out other peers of the same login (account):

    - The tries of clients and of agents are counted separately. So the thief cannot keep out clients.
    - One session may make only a part of the tries of its login. So the thief cannot keep out the agents of other jobs.

    The same holds for a client's URL.
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
        self._returns = {side: RateLimits(tries, clock) for side in Side}
        self._returns_by_login = RateLimits(RETURNS_PER_LOGIN * tries, clock)
        self._max_held, self._held_per_login = config.max_held_sessions, config.held_sessions_per_login
        self._counts: Counter[Key] = Counter()

    def connect(
        self,
        *,
        address: str | None = None,
        login: str | None = None,
        session: str | None = None,
        side: Side = Side.CLIENT,
    ) -> None:
        """Counts an attempt of a peer to attach. Raises Refusal (429) if there were too many in the last minute.

        Args:
            session: the name of the session for which the peer has shown a valid signature.
            side: whether the peer is a client or an agent. The two are counted separately.
        """
        for rates, key, what in (
            (self._by_address[side], address, "from this address"),
            (self._by_session[side], session, "to this session"),
            (self._by_login[side], login, "from this login"),
        ):
            wait = rates.take(key) if key else 0.0
            if wait:
                raise _exceeded("too many connections a minute %s (--max-connects-per-minute)" % what, wait)

    def give_back(self, side: Side, *, address: str | None = None, session: str | None = None) -> None:
        """Undoes a part of `connect`: the peer no longer counts for `address`, or for `session`, if they are given."""
        for rates, key in ((self._by_address[side], address), (self._by_session[side], session)):
            if key:
                rates.give_back(key)

    def come_back(self, *, login: str | None, session: str, side: Side) -> None:
        """Counts a peer that comes back with a ticket. Raises Refusal (429) if there were too many in the last minute.

        Such a peer does not count as a new connection, because all peers come back when a reflector has been restarted.
        """
        for rates, key in ((self._returns[side], session), (self._returns_by_login, login)):
            wait = rates.take(key) if key else 0.0
            if wait:
                raise _exceeded("too many returns a minute to this session, or from this login", wait)

    def hold(self, login: str | None) -> Place:
        """Counts a session that its agent holds: the agent keeps it alive while there is no client.

        Call `leave` of the returned Place when the session is not held any more.

        Raises:
            Refusal: 429 if `login` has too many such sessions, 503 if there are too many in all.
        """
        key = (_HELD, login or "")
        if login and 0 < self._held_per_login <= self._counts[key]:
            raise _exceeded(_HELD, OWN_RETRY_AFTER)
        if 0 < self._max_held <= self._counts[_ALL_HELD]:
            words = "this reflector holds as many sessions as it may (--max-held-sessions)"
            raise Refusal(503, words, retry_after=FULL_RETRY_AFTER)
        return Place(self._counts, (_ALL_HELD, key) if login else (_ALL_HELD,), ())

    def can_hold(self, login: str | None) -> bool:
        """Returns True if `hold` would count one more session of `login`, False if it would raise Refusal."""
        try:
            self.hold(login).leave()
        except Refusal:
            return False
        return True

    def enter(self, *, address: str | None, login: str | None) -> Place:
        """Counts a client that is about to open or to join a session. It counts as a session that waits for an agent.

        Call the methods of the returned Place to end this counting.

        Raises:
            Refusal: 429 if `login` or `address` has too many sessions, or too many that wait for an agent. 503 if there
                are too many sessions in all.
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
        """Returns how many keys have a count. A key is, for example, one login for one limit."""
        return len(self._counts)


def _exceeded(words: str, retry_after: float) -> Refusal:
    """Returns the refusal (429) of a peer that would exceed a limit.

    Args:
        words: the text for the peer.
        retry_after: the number of seconds after which the peer may try again.
    """
    return Refusal(429, words, retry_after=max(1, math.ceil(retry_after)))

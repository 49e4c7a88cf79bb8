"""Limits how many peers may connect, and how many clients may wait. Ordinary use stays far below the limits.

The counts are kept in the memory of this process only.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal

MINUTE = 60.0

MAX_REMEMBERED = 16384
"""The maximum number of keys in one RateLimits. The least recently used key is forgotten first."""

WAITING_RETRY_AFTER = 10
"""The Retry-After, in seconds, for a client that is refused because too many sessions wait."""


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
        """Counts one event of `key` and returns 0.0. If that exceeds the limit: returns the seconds to wait first."""
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


class Limits:
    """The limits for peers of one process. An argument `login` or `address` that is None is not counted."""

    def __init__(self, config: ReflectorConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_address = RateLimits(config.max_connects_per_minute, clock)
        self._by_login = RateLimits(config.max_connects_per_minute, clock)
        self._caps = {"login": config.max_waiting_per_login, "address": config.max_waiting_per_address}
        self._waiting: Counter[tuple[str, str]] = Counter()

    def connect(self, *, address: str | None = None, login: str | None = None) -> None:
        """Counts a peer that wants to attach. Raises Refusal (429) if there were too many in the last minute."""
        for rates, key, what in ((self._by_address, address, "address"), (self._by_login, login, "login")):
            wait = rates.take(key) if key is not None else 0.0
            if wait:
                raise _exceeded("too many connections a minute from this %s (--max-connects-per-minute)" % what, wait)

    def wait(self, *, address: str | None, login: str | None) -> tuple[tuple[str, str], ...]:
        """Counts a session that starts to wait for an agent. Raises Refusal (429) if too many wait.

        Returns the keys to pass to `stop_waiting` when the wait is over.
        """
        keys = [(kind, key) for kind, key in (("login", login), ("address", address)) if key]
        for kind, key in keys:
            if 0 < self._caps[kind] <= self._waiting[kind, key]:
                reason = "too many sessions of this %s wait for an agent (--max-waiting-per-%s)" % (kind, kind)
                raise _exceeded(reason, WAITING_RETRY_AFTER)
        self._waiting.update(keys)
        return tuple(keys)

    def stop_waiting(self, keys: tuple[tuple[str, str], ...]) -> None:
        """Ends the count of a waiting session: its agent has arrived, or it is over. `keys`: the result of `wait`."""
        for key in keys:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]


def _exceeded(words: str, retry_after: float) -> Refusal:
    """Returns the refusal (429) for a limit that was exceeded. `retry_after`: seconds."""
    return Refusal(429, words, retry_after=max(1, math.ceil(retry_after)), limited=True)


class LogLimiter:
    """A rate limit for log lines: at most `limit` lines a minute. The next line says how many were left out."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = RateLimits(limit, clock)
        self._left_out = 0

    def fields(self) -> dict[str, int] | None:
        """Call this before each log line. Returns fields to add to the line, or None if the line must be left out."""
        if self._rates.take(""):
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return {"left_out": left_out} if left_out else {}

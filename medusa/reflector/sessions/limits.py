"""How many may come, and wait: bounds that ordinary use never meets. None of it outlives the process."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal

MINUTE = 60.0

MAX_REMEMBERED = 16384
"""Addresses or logins of one kind: who came longest ago is forgotten first."""


class Rates:
    """At most `limit` events a minute for each key, and no more than that at once; 0 for no limit.

    Of each key the time is kept at which it will have earned all it used: one number, and none for who used nothing.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._step = MINUTE / limit if limit else 0.0
        self._clock = clock
        self._settled: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """One event of `key`; returns 0.0, or the seconds after which there is room for it."""
        if not self._step:
            return 0.0
        now = self._clock()
        settled = max(now, self._settled.get(key, 0.0)) + self._step
        if settled - now > MINUTE + 1e-6:  # sums of many steps are not exact
            return settled - now - MINUTE
        self._settled[key] = settled
        self._settled.move_to_end(key)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        while self._settled:
            key, settled = next(iter(self._settled.items()))
            if settled > now and len(self._settled) <= MAX_REMEMBERED:
                break
            del self._settled[key]

    def __len__(self) -> int:
        return len(self._settled)


PATIENCE = 10
"""Seconds after which to try again where something must end first."""


class Limits:
    """One process's. A key is a login or an address, and None where nobody is to be counted."""

    def __init__(self, config: ReflectorConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_address = Rates(config.max_connects_per_minute, clock)
        self._by_login = Rates(config.max_connects_per_minute, clock)
        self._caps = {"login": config.max_waiting_per_login, "address": config.max_waiting_per_address}
        self._waiting: Counter[tuple[str, str]] = Counter()

    def connect(self, *, address: str | None = None, login: str | None = None) -> None:
        """Somebody wants to attach. Raises Refusal, 429."""
        for rates, key, what in ((self._by_address, address, "address"), (self._by_login, login, "login")):
            wait = rates.take(key) if key is not None else 0.0
            if wait:
                raise _exceeded("too many connections a minute from this %s (--max-connects-per-minute)" % what, wait)

    def wait(self, *, address: str | None, login: str | None) -> tuple[tuple[str, str], ...]:
        """A session begins to wait; give what this returns to `waits_no_more`. Raises Refusal, 429."""
        keys = [(kind, key) for kind, key in (("login", login), ("address", address)) if key]
        for kind, key in keys:
            if 0 < self._caps[kind] <= self._waiting[kind, key]:
                reason = "too many sessions of this %s wait for an agent (--max-waiting-per-%s)" % (kind, kind)
                raise _exceeded(reason, PATIENCE)
        self._waiting.update(keys)
        return tuple(keys)

    def waits_no_more(self, keys: tuple[tuple[str, str], ...]) -> None:
        """The session has its agent, or is over."""
        for key in keys:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]


def _exceeded(words: str, retry_after: float) -> Refusal:
    """The refusal by a limit that `words` name. `retry_after`: seconds."""
    return Refusal(429, words, retry_after=max(1, math.ceil(retry_after)), limited=True)


class Muffler:
    """Keeps a flood out of the log: `limit` lines a minute, and what they left out."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = Rates(limit, clock)
        self._left_out = 0

    def fields(self) -> dict[str, int] | None:
        """What to add to a line that may be written now; None where none may."""
        if self._rates.take(""):
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return {"left_out": left_out} if left_out else {}

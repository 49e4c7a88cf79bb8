from __future__ import annotations

import contextlib
from typing import TypedDict

import pytest

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.sessions import limits
from medusa.reflector.sessions.limits import Limits, RateLimits
from medusa.session import Side
from tests.unit.reflector.conftest import refused
from tests.waiting import Clock


class Peer(TypedDict):
    """By whom a session is counted."""

    address: str | None
    login: str | None


class TestRates:
    def test_a_minutes_worth_at_once_and_then_one_by_one(self, clock: Clock) -> None:
        rates = RateLimits(30, clock)
        assert [rates.take("a") for _ in range(30)] == [0.0] * 30
        assert rates.take("a") == pytest.approx(2.0)
        assert rates.take("b") == 0.0, "each has its own"
        clock.now += 2.0
        assert rates.take("a") == 0.0
        assert rates.take("a") == pytest.approx(2.0)

    def test_what_is_refused_costs_nothing(self, clock: Clock) -> None:
        rates = RateLimits(1, clock)
        rates.take("a")
        assert [rates.take("a") for _ in range(3)] == [pytest.approx(60.0)] * 3
        clock.now += 60.0
        assert rates.take("a") == 0.0

    def test_none(self, clock: Clock) -> None:
        rates = RateLimits(0, clock)
        assert not any(rates.take("a") for _ in range(1000))
        assert len(rates) == 0

    def test_memory_is_bounded(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_REMEMBERED", 10)
        rates = RateLimits(1, clock)
        for key in range(100):
            rates.take(str(key))
        assert len(rates) == 10
        assert rates.take("99") > 0, "the last key is remembered"
        clock.now += 61
        rates.take("new")
        assert len(rates) == 1, "a key whose bucket is full is forgotten"


ALICE: Peer = {"address": None, "login": "alice"}
BOB: Peer = {"address": None, "login": "bob"}
HERE: Peer = {"address": "here", "login": None}
THERE: Peer = {"address": "there", "login": None}
LOOPBACK: Peer = {"address": None, "login": None}

CAPS = [
    ({"max_sessions_per_login": 2}, 429, "max-sessions-per-login", ALICE, BOB),
    ({"max_sessions": 4}, 429, "max-sessions-per-login", ALICE, BOB),
    ({"max_sessions": 3}, 429, "max-sessions-per-login", ALICE, LOOPBACK),
    ({"max_sessions_per_address": 2}, 429, "max-sessions-per-address", HERE, THERE),
    ({"max_sessions": 4}, 429, "max-sessions-per-address", HERE, {"address": "here", "login": "alice"}),
    ({"max_waiting_per_login": 2}, 429, "max-waiting-per-login", ALICE, BOB),
    ({"max_waiting_per_address": 2}, 429, "max-waiting-per-address", HERE, THERE),
    ({"max_waiting_per_address": 2}, 429, "max-waiting-per-address", {"address": "here", "login": "x"}, ALICE),
    ({"max_sessions": 2, "max_sessions_per_login": 0}, 503, "max-sessions", ALICE, None),
    ({"max_sessions": 2}, 503, "max-sessions", LOOPBACK, None),
]


@pytest.mark.parametrize(("config", "status", "option", "peer", "other"), CAPS)
class TestSessions:
    def test_one_more_is_refused_and_others_are_not(
        self, config: dict[str, int], status: int, option: str, peer: Peer, other: Peer | None
    ) -> None:
        some = Limits(ReflectorConfig(**config))  # type: ignore[arg-type]
        first, _ = some.enter(**peer), some.enter(**peer)
        for _ in range(9):
            with refused(status, "--%s" % option, retry_after=5 if status == 503 else 10):
                some.enter(**peer)
        if other is not None:
            some.enter(**other).leave()
        first.leave()
        some.enter(**peer)

    def test_each_count_ends_once(
        self, config: dict[str, int], status: int, option: str, peer: Peer, other: Peer | None
    ) -> None:
        some = Limits(ReflectorConfig(**config))  # type: ignore[arg-type]
        first, second = some.enter(**peer), some.enter(**peer)
        for _ in range(3):
            first.stop_waiting()
            first.leave()
        some.enter(**peer).leave()
        with contextlib.ExitStack() as left:
            left.callback(some.enter(**peer).leave)
            with refused(status, retry_after=5 if status == 503 else 10):
                some.enter(**peer)
        second.leave()
        assert len(some) == 0


def test_no_caps() -> None:
    none = Limits(ReflectorConfig(max_sessions=0, max_waiting_per_login=0, max_waiting_per_address=0))
    for _ in range(1000):
        none.enter(address="here", login="alice")


def test_a_session_that_waits_no_more_still_lives() -> None:
    some = Limits(ReflectorConfig(max_sessions_per_login=2, max_waiting_per_login=1))
    for _ in range(2):
        some.enter(**ALICE).stop_waiting()
    with refused(429, "max-sessions-per-login", retry_after=10):
        some.enter(**ALICE)


class TestConnects:
    def test_of_addresses_and_logins_are_apart(self, clock: Clock) -> None:
        some = Limits(ReflectorConfig(max_connects_per_minute=1), clock)
        some.connect(address="x")
        some.connect(login="x")
        some.connect()
        with refused(429, "from this address", retry_after=60):
            some.connect(address="x")
        with refused(429, "from this login", retry_after=60):
            some.connect(login="x")

    @pytest.mark.parametrize("key", ["login", "address"])
    def test_of_agents_cost_clients_nothing(self, clock: Clock, key: str) -> None:
        some = Limits(ReflectorConfig(max_connects_per_minute=3), clock)
        for side in (Side.AGENT, Side.CLIENT):
            for _ in range(3):
                some.connect(**{key: "x"}, side=side)
            with refused(429, retry_after=20):
                some.connect(**{key: "x"}, side=side)

    @pytest.mark.parametrize("side", list(Side))
    def test_to_one_session_cost_the_other_sessions_little(self, clock: Clock, side: Side) -> None:
        some = Limits(ReflectorConfig(max_connects_per_minute=300), clock)
        for _ in range(30):
            some.connect(login="alice", session="one", side=side)
        for _ in range(500):
            with refused(429, "to this session", retry_after=2):
                some.connect(login="alice", session="one", side=side)
        for other in Side:
            for _ in range(30):
                some.connect(login="alice", session="other", side=other)

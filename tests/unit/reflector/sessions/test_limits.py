from __future__ import annotations

import pytest

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.sessions import limits
from medusa.reflector.sessions.limits import Limits, LogLimiter, RateLimits
from tests.unit.reflector.conftest import refused
from tests.waiting import Clock


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


class TestWaiting:
    def test_caps(self) -> None:
        some = Limits(ReflectorConfig(max_waiting_per_login=2, max_waiting_per_address=3))
        first = some.wait(address="here", login="alice")
        some.wait(address="there", login="alice")
        with refused(429, "max-waiting-per-login", retry_after=10):
            some.wait(address="elsewhere", login="alice")
        some.wait(address="here", login="bob")
        some.wait(address="here", login=None)
        with refused(429, "max-waiting-per-address", retry_after=10):
            some.wait(address="here", login="carol")
        some.stop_waiting(first)
        some.wait(address="here", login="alice")

    def test_nobody_to_count(self) -> None:
        one = Limits(ReflectorConfig(max_waiting_per_login=1, max_waiting_per_address=1))
        for _ in range(5):
            assert one.wait(address=None, login=None) == ()

    def test_no_caps(self) -> None:
        none = Limits(ReflectorConfig(max_waiting_per_login=0, max_waiting_per_address=0))
        for _ in range(1000):
            none.wait(address="here", login="alice")

    def test_a_refusal_counts_for_nothing(self) -> None:
        some = Limits(ReflectorConfig(max_waiting_per_login=5, max_waiting_per_address=1))
        held = some.wait(address="here", login="alice")
        for _ in range(9):
            with refused(429, retry_after=10):
                some.wait(address="here", login="alice")
        some.stop_waiting(held)
        for _ in range(5):
            some.wait(address=None, login="alice")


def test_connects_of_addresses_and_logins_are_apart(clock: Clock) -> None:
    some = Limits(ReflectorConfig(max_connects_per_minute=1), clock)
    some.connect(address="x")
    some.connect(login="x")
    some.connect()
    with refused(429, "from this address", retry_after=60):
        some.connect(address="x")
    with refused(429, "from this login", retry_after=60):
        some.connect(login="x")


def test_a_flood_leaves_few_lines(clock: Clock) -> None:
    limiter = LogLimiter(2, clock)
    assert [limiter.fields() for _ in range(4)] == [{}, {}, None, None]
    clock.now += 30
    assert limiter.fields() == {"left_out": 2}
    assert limiter.fields() is None

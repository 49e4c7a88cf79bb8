from __future__ import annotations

import math

import pytest

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.sessions.session_timeouts import Patience, lead
from medusa.session import Input


def what_happens(patience: Patience, until: int, touched: dict[int, float] | None = None) -> list[tuple[int, Input]]:
    """(second, input) of a session; `touched`: at which seconds a terminal byte passes."""
    found, active = [], 0.0
    for now in range(until):
        active = (touched or {}).get(now, active)
        while (due := patience.due(now, active)) is not None:
            found.append((now, due))
            if due in (Input.IDLE_EXPIRED, Input.DURATION_EXPIRED):
                return found
        assert patience.deadline(active) > now
    return found


def test_an_idle_session_is_told_once_and_then_ended() -> None:
    patience = Patience(ReflectorConfig(idle_timeout=600), 0)
    assert what_happens(patience, 1000) == [(540, Input.IDLE_NOTICE), (600, Input.IDLE_EXPIRED)]


def test_a_byte_begins_it_anew() -> None:
    patience = Patience(ReflectorConfig(idle_timeout=600), 0)
    told = [(540, Input.IDLE_NOTICE), (1130, Input.IDLE_NOTICE), (1190, Input.IDLE_EXPIRED)]
    assert what_happens(patience, 2000, {590: 590.0}) == told


def test_nothing_begins_a_duration_anew() -> None:
    patience = Patience(ReflectorConfig(max_duration=100), 0)
    told = [(50, Input.DURATION_NOTICE), (100, Input.DURATION_EXPIRED)]
    assert what_happens(patience, 200, {second: float(second) for second in range(200)}) == told


def test_both() -> None:
    patience = Patience(ReflectorConfig(max_duration=100, idle_timeout=90), 0)
    told = [(45, Input.IDLE_NOTICE), (50, Input.DURATION_NOTICE), (100, Input.DURATION_EXPIRED)]
    assert what_happens(patience, 200, {60: 60.0}) == told


def test_what_is_left() -> None:
    patience = Patience(ReflectorConfig(max_duration=100, idle_timeout=90), 1000)
    assert patience.left(1010, 1005) == (90, 85)
    assert patience.deadline(1005) == 1050
    assert Patience(ReflectorConfig(), 0).deadline(0) == math.inf


@pytest.mark.parametrize(("limit", "before"), [(2, 1), (100, 50), (120, 60), (3600, 60)])
def test_how_long_before(limit: float, before: float) -> None:
    assert lead(limit) == before

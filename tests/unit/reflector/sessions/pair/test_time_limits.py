from __future__ import annotations

import math

import pytest

from medusa.reflector.sessions.pair.time_limits import DrainNotices, TimeLimits, lead
from medusa.session import Input


def what_happens(limits: TimeLimits, until: int, touched: dict[int, float] | None = None) -> list[tuple[int, Input]]:
    """(second, input) of a session; `touched`: at which seconds a terminal byte passes."""
    found, active = [], 0.0
    for now in range(until):
        active = (touched or {}).get(now, active)
        while (due := limits.due(now, active)) is not None:
            found.append((now, due))
            if due in (Input.IDLE_EXPIRED, Input.DURATION_EXPIRED):
                return found
        assert limits.deadline(active) > now
    return found


@pytest.mark.parametrize(
    ("idle", "duration", "touched", "expected"),
    [
        (600, 0, {}, [(540, Input.IDLE_NOTICE), (600, Input.IDLE_EXPIRED)]),
        # A byte begins it anew.
        (600, 0, {590: 590.0}, [(540, Input.IDLE_NOTICE), (1130, Input.IDLE_NOTICE), (1190, Input.IDLE_EXPIRED)]),
        # Nothing begins a duration anew.
        (
            0,
            100,
            {second: float(second) for second in range(200)},
            [(50, Input.DURATION_NOTICE), (100, Input.DURATION_EXPIRED)],
        ),
        (
            90,
            100,
            {60: 60.0},
            [(45, Input.IDLE_NOTICE), (50, Input.DURATION_NOTICE), (100, Input.DURATION_EXPIRED)],
        ),
    ],
    ids=["idle", "idle-anew", "duration", "both"],
)
def test_notice_and_end(
    idle: float, duration: float, touched: dict[int, float], expected: list[tuple[int, Input]]
) -> None:
    assert what_happens(TimeLimits(idle, duration, 0), 2000, touched) == expected


def test_what_is_left() -> None:
    limits = TimeLimits(90, 100, 1000)
    assert limits.left(1010, 1005) == (90, 85)
    assert limits.deadline(1005) == 1050
    assert TimeLimits(0, 0, 0).deadline(0) == math.inf


@pytest.mark.parametrize(("limit", "before"), [(2, 1), (100, 50), (120, 60), (3600, 60)])
def test_how_long_before_the_end_the_notice_comes(limit: float, before: float) -> None:
    assert lead(limit) == before


@pytest.mark.parametrize(
    ("drain", "left"),
    [
        (300, [300, 60, 10]),
        (90, [90, 60, 10]),
        (80, [80, 10]),
        (30, [30, 10]),
        (15, [15, 10]),
        (12, [12, 6]),
        (2, [2, 1]),
        (1, [1, 0.5]),
        (0.5, [0.5]),
        (0.1, []),
        (0, []),
    ],
)
def test_how_often_a_drain_is_announced(drain: float, left: list[float]) -> None:
    notices, now, found = DrainNotices(1000 + drain, 1000.0), 1000.0, []
    while (due := notices.due(now)) is not Input.SHUTDOWN:
        if due is not None:
            found.append(1000 + drain - now)
        assert now < notices.deadline()
        now = notices.deadline()
    assert found == left


def test_notices_that_were_missed_are_one() -> None:
    notices = DrainNotices(1300.0, 1000.0)
    assert [notices.due(now) for now in (1292.0, 1292.0, 1300.0)] == [Input.DRAIN_NOTICE, None, Input.SHUTDOWN]

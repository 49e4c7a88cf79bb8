from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from medusa.client.streams.pace import CHECK_INTERVAL, Pace
from medusa.protocol.resume.stream import ACK_INTERVAL


def test_the_first_round_checks_and_a_round_in_which_a_time_has_come() -> None:
    pace = Pace()
    assert pace.due(1.0, happened=False)
    pace.checked(9.0)
    assert not pace.due(2.0, happened=True)
    assert pace.due(2.0 + ACK_INTERVAL, happened=False)


def test_what_cannot_wait_does_not() -> None:
    pace = Pace()
    pace.checked(9.0)
    pace.soon()
    assert pace.due(2.0, happened=True)


@given(st.lists(st.floats(0.0, 1.0), min_size=1), st.floats(0.0, 30.0))
def test_a_check_comes_soon_after_the_first_event_and_never_after_its_time(pauses: list[float], at: float) -> None:
    pace, now, first = Pace(), 0.0, math.inf
    pace.due(0.0, happened=False)
    pace.checked(at)
    for pause in pauses:
        now += pause
        must = now >= min(first + CHECK_INTERVAL, at)
        assert pace.due(now, happened=True) is must
        first = now if must else min(first, now)  # what has happened in the round of a check needs another one
        if must:
            at = now + 30.0
            pace.checked(at)
        assert pace.at <= first + CHECK_INTERVAL

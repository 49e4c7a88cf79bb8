from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.pace import RATE, Round, share

HOUR = 3600.0


@pytest.mark.parametrize(
    ("count", "checked"), [(0, 0), (1, 1), (10, 10), (200, 200), (10_000, 200), (72_000, 200), (720_000, 2000)]
)
def test_the_number_in_twenty_seconds(count: int, checked: int) -> None:
    assert share(count, 20.0, 2 * HOUR) == checked


@given(st.integers(0, 10_000_000), st.floats(0.1, 600), st.floats(600, HOUR * 24))
def test_every_claim_is_checked_in_time(count: int, period: float, longest: float) -> None:
    checked = share(count, period, longest)
    assert checked == count or checked * longest >= count * period * 0.999
    assert checked <= period * max(RATE, count / longest) + 1


def names(count: int) -> list[SessionName]:
    return [SessionName(str(number)) for number in range(count)]


@given(st.integers(0, 30), st.lists(st.integers(0, 40), max_size=20))
def test_all_have_a_turn_before_any_has_its_second(count: int, counts: list[int]) -> None:
    round_, known, seen = Round(), names(count), list[SessionName]()
    for number in counts:
        some = list(round_.next(known, number))
        assert len(some) == min(number, count)
        seen += some
    assert seen == [known[at % count] for at in range(len(seen))]


def test_names_come_and_go() -> None:
    round_, known = Round(), dict.fromkeys(names(4))
    assert list(round_.next(known, 2)) == names(2)
    del known[SessionName("2")]
    known[SessionName("new")] = None
    assert list(round_.next(known, 2)) == [SessionName("3"), SessionName("0")]
    known.clear()
    assert list(round_.next(known, 2)) == []

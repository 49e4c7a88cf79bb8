from __future__ import annotations

import pytest

from agent.session.keeping import INTERVAL, NOTHING, KeptNews, What, what_is_kept
from medusa.protocol.control import Kept

END = "killed by SIGTERM"


@pytest.mark.parametrize(
    ("hold", "detached", "parked", "first_by", "kept"),
    [
        (None, False, [], None, NOTHING),
        (None, False, [], 9.0, ("first", 9.0, None)),
        (None, False, [5.0, 7.0, None], 9.0, ("parked", 7.0, END)),
        (None, False, [None], None, NOTHING),
        (None, True, [5.0], None, ("detached", None, None)),
        (3.0, True, [5.0], 9.0, ("hold", 3.0, None)),
    ],
)
def test_what_keeps_a_session_longest(
    hold: float | None, detached: bool, parked: list[float | None], first_by: float | None, kept: What
) -> None:
    assert what_is_kept(hold, detached, parked, first_by, END) == kept


def test_each_change_is_told_once_and_not_too_often() -> None:
    news = KeptNews()
    assert (news.deadline(), news.due(100.0)) == (None, None)
    news.now_kept = ("parked", 160.4, None)
    assert (news.due(100.0), news.due(100.0), news.deadline()) == (Kept("parked", 60), None, None)
    news.now_kept = ("detached", None, None)
    assert (news.due(100.5), news.deadline()) == (None, 100.0 + INTERVAL)
    assert news.due(101.0) == Kept("detached")
    news.restart()
    assert news.due(101.0) == Kept("detached"), "the reflector of the new link knows nothing"
    news.now_kept = NOTHING
    assert news.due(102.0) == Kept()
    news.now_kept = ("parked", 1e12, None)
    assert news.due(103.0) == Kept("parked", 31536000)
    news.now_kept = ("parked", 109.0, END)
    assert news.due(104.0) == Kept("parked", 5, END)

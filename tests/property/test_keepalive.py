"""Whoever calls when told to finds a silent peer lost after three intervals, never before, and a lively one never.
Whoever calls much later gives it one interval more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.keepalive import PATIENCE, Keepalive, Verdict

events = st.lists(st.tuples(st.sampled_from(["heard", "sent", "check"]), st.integers(0, 40)), max_size=40)


@given(events=events, idle_sender=st.booleans())
def test_no_order_of_events_is_misjudged(events: list[tuple[str, int]], idle_sender: bool) -> None:
    keepalive, now, heard = Keepalive(15, 0, idle_sender), 0, 0
    for what, passed in events:
        now += passed
        if what == "heard":
            keepalive.heard(now)
            heard = now
        elif what == "sent":
            keepalive.sent(now)
        else:
            if now >= keepalive.deadline() + 15:
                heard = max(heard, now - (PATIENCE - 1) * 15)
            assert (keepalive.check(now) is Verdict.LOST) is (now - heard >= PATIENCE * 15)
        assert keepalive.deadline() <= heard + PATIENCE * 15
    latest = now
    if now >= keepalive.deadline() + 15:
        heard = max(heard, now - (PATIENCE - 1) * 15)
    while keepalive.check(now) is not Verdict.LOST:
        assert keepalive.deadline() > now
        now = int(keepalive.deadline())
    assert now == max(latest, heard + PATIENCE * 15)

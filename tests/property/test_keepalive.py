"""A caller that is in time finds a silent peer lost after three intervals, never before, and a live one never.
A caller that is an interval late gives the peer one interval more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.keepalive import LOST_AFTER, Keepalive, Verdict

events = st.lists(st.tuples(st.sampled_from(["received", "sent", "check"]), st.integers(0, 40)), max_size=40)


@given(events=events, idle_sender=st.booleans())
def test_no_order_of_events_is_misjudged(events: list[tuple[str, int]], idle_sender: bool) -> None:
    keepalive, now, received = Keepalive(15, 0, idle_sender), 0, 0
    for what, passed in events:
        now += passed
        if what == "received":
            keepalive.received(now)
            received = now
        elif what == "sent":
            keepalive.sent(now)
        else:
            due = now >= keepalive.deadline()
            if now >= keepalive.deadline() + 15:
                received = max(received, now - (LOST_AFTER - 1) * 15)
            verdict = keepalive.check(now)
            assert (verdict is Verdict.LOST) is (now - received >= LOST_AFTER * 15)
            assert (verdict is Verdict.OK) is not due
        assert keepalive.deadline() <= received + LOST_AFTER * 15
    latest = now
    if now >= keepalive.deadline() + 15:
        received = max(received, now - (LOST_AFTER - 1) * 15)
    while keepalive.check(now) is not Verdict.LOST:
        assert keepalive.deadline() > now
        now = int(keepalive.deadline())
    assert now == max(latest, received + LOST_AFTER * 15)

"""Which peers are asked for a sign of life, and which are lost: keepalive, write stalls, unfinished messages."""

from __future__ import annotations

import math

import pytest

from medusa.protocol.keepalive import Keepalive
from medusa.protocol.relay import Unfinished
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.reflector.sessions.pair.link_checks import Due, Late, Lost, Ping
from medusa.session import Side
from tests.unit.reflector.sessions.pair.pairlinks import Link, deadlines


class TestKeepalive:
    def judged(self, link: Link, *times: float) -> list[Due]:
        session = deadlines()
        found: list[Due] = []
        for now in times:
            found += session.check_links(now, [link])
        return found

    def test_a_silent_peer_is_asked_twice_then_lost(self) -> None:
        found = self.judged(Link(), 14.9, 15.0, 30.0, 45.0)
        assert found == [Ping(Side.CLIENT), Ping(Side.CLIENT), Lost(Side.CLIENT, "silent for 45 s")]

    @pytest.mark.parametrize(
        "link",
        [
            Link(open=False),
            Link(draining=True),
            Link(paused=True),
            Link(plain=True),
            Link(Side.AGENT, paused=True, hung_up=True),
            Link(plain=True, passes_fin=True, hung_up=True),
        ],
        ids=["ended", "draining", "paused", "plain", "agent's last words", "half-closed"],
    )
    def test_silence_that_does_not_count(self, link: Link) -> None:
        assert self.judged(link, 15.0, 30.0, 45.0, 60.0, 75.0) == []

    @pytest.mark.parametrize("link", [Link(paused=True, hung_up=True), Link(plain=True, hung_up=True)])
    def test_a_client_that_hung_up_is_judged_though_it_is_not_read(self, link: Link) -> None:
        assert self.judged(link, 15.0, 30.0, 45.0)[-1] == Lost(Side.CLIENT, "silent for 45 s")

    def test_a_reader_that_vanishes_is_lost_in_time_though_it_accepted_bytes_before(self) -> None:
        session, link, found = deadlines(), Link(draining=True), []
        for now in (15.0, 30.0, 45.0):
            found.append(session.check_links(now, [link]))
            link.draining = False
        assert found == [[], [Ping(Side.CLIENT)], [Lost(Side.CLIENT, "silent for 45 s")]]

    @pytest.mark.parametrize("how", [{"plain": True}, {"paused": True}])
    def test_a_host_that_acknowledges_nothing_is_lost(self, how: dict[str, bool]) -> None:
        session, link = deadlines(), Link(**how)  # type: ignore[arg-type]
        for now, unacknowledged in ((15.0, 0.0), (30.0, 14.0), (45.0, 29.0), (60.0, 44.0)):
            link.unacknowledged = unacknowledged
            assert session.check_links(now, [link]) == []
        link.unacknowledged = 45.0
        assert session.next_check([link]) == 61.0
        assert session.check_links(61.0, [link]) == [Lost(Side.CLIENT, "silent for 45 s")]

    def test_after_a_close_only_a_peer_that_has_not_received_it_is_judged(self) -> None:
        session, link = deadlines(), Link()
        session.finish(0.0)
        assert session.check_links(15.0, [link]) == []
        assert session.next_check([link]) == math.inf
        link.backlog = 1
        assert session.next_check([link]) == 15.0
        assert session.check_links(15.0, [link]) == [Ping(Side.CLIENT)]


class TestWriteStall:
    def stalled(self, session: Deadlines, now: float, *links: Link) -> list[Side]:
        for link in links:
            link.keepalive.received(now)
        found = session.check_links(now, links)
        assert all(
            lost.why == "took nothing of what was sent to it for 4 s" for lost in found if isinstance(lost, Lost)
        )
        return [lost.side for lost in found if isinstance(lost, Lost)]

    def test_a_peer_that_accepts_nothing_is_lost(self) -> None:
        session, link = deadlines(write_stall=4.0), Link(backlog=10)
        assert self.stalled(session, 0.0, link) == []
        assert session.next_check([link]) == 1.0
        assert self.stalled(session, 3.9, link) == []
        assert self.stalled(session, 4.9, link) == [Side.CLIENT]

    def test_any_progress_counts(self) -> None:
        session, link = deadlines(write_stall=4.0), Link(backlog=10)
        self.stalled(session, 0.0, link)
        link.backlog = 9
        assert self.stalled(session, 3.0, link) == []
        link.sent, link.backlog = 101, 10
        assert self.stalled(session, 6.0, link) == []
        assert self.stalled(session, 9.9, link) == []
        assert self.stalled(session, 10.9, link) == [Side.CLIENT]

    def test_a_peer_with_nothing_to_accept_is_not_judged(self) -> None:
        session, done, gone = deadlines(write_stall=4.0), Link(), Link(Side.AGENT, open=False, backlog=1)
        assert not any(self.stalled(session, float(now), done, gone) for now in range(20))

    def test_one_peer_is_lost_once(self) -> None:
        session, link = deadlines(write_stall=4.0), Link(backlog=10)
        session.check_links(0.0, [link])
        assert [type(due) for due in session.check_links(45.0, [link])] == [Ping, Lost]


class TestMessages:
    """A message that is not finished: 60 s, and 1 s more for each KiB that has come."""

    @staticmethod
    def late_at(session: Deadlines, link: Link, *times: float) -> float | None:
        """When the message is refused first, in checks at these times; by default every 15 s for five hours."""
        before = 0.0
        for now in times or [15.0 * at for at in range(1200)]:
            link.arrive(now - before)
            link.keepalive.received(now)
            if any(isinstance(due, Late) for due in session.check_links(now, [link])):
                return now
            before = now
        return None

    @pytest.mark.parametrize(
        ("rate", "late"),
        [
            (0.0, 75.0),
            (0.1, 75.0),  # a byte now and then
            (500.0, 120.0),
            (1023.0, None),
            (1100.0, None),
            (1e6, None),
        ],
    )
    def test_slow_is_not_the_same_as_stuck(self, rate: float, late: float | None) -> None:
        link = Link(unfinished=Unfinished(0, 0), rate=rate)
        assert self.late_at(deadlines(), link) == late

    def test_each_message_has_its_own_time(self) -> None:
        session, link = deadlines(), Link(unfinished=Unfinished(0, 0), turns=True)
        assert self.late_at(session, link) is None

    def test_a_link_that_is_not_read_has_time(self) -> None:
        session, link = deadlines(), Link(unfinished=Unfinished(0, 0), paused=True)
        assert self.late_at(session, link, *range(0, 3600, 15)) is None
        link.paused = False
        assert self.late_at(session, link, *range(3600, 4000, 15)) == 3660

    def test_a_process_that_was_suspended(self) -> None:
        session, link = deadlines(), Link(unfinished=Unfinished(0, 0))
        assert self.late_at(session, link, 0, 15, 30, 45, 3600, 3615, 3630) == 3630

    def test_a_large_frame_is_seen_by_its_start_first_and_then_by_what_is_left_of_it(self) -> None:
        session, link = deadlines(), Link(unfinished=Unfinished(0, 3))
        assert self.late_at(session, link, 0) is None
        link.unfinished = Unfinished(0, -100_000)
        assert self.late_at(session, link, 15, 30, 45, 60) is None
        link.unfinished = Unfinished(0, -100_000 + 20 * 1024)
        assert self.late_at(session, link, 75, 90, 105) == 90

    def test_a_closed_link_and_no_limit(self) -> None:
        assert self.late_at(deadlines(), Link(unfinished=Unfinished(0, 0), open=False)) is None
        assert self.late_at(deadlines(message_timeout=0.0), Link(unfinished=Unfinished(0, 0))) is None

    def test_a_check_in_time_also_with_a_long_keepalive(self) -> None:
        session, link = deadlines(keepalive=1000.0), Link(keepalive=Keepalive(1000.0, 0.0))
        session.check_links(0.0, [link])
        assert session.next_check([link]) == 15.0

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from medusa.protocol.keepalive import Keepalive
from medusa.protocol.relay import Unfinished
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.reflector.sessions.pair.link_checks import Due, Late, Lost, Ping
from medusa.session import Input, Side


@dataclass
class Link:
    """A connection of which only the answers exist. Its keepalive begins at 0, with an interval of 15 s."""

    side: Side = Side.CLIENT
    open: bool = True
    plain: bool = False
    passes_fin: bool = False
    paused: bool = False
    hung_up: bool = False
    sent: int = 100
    backlog: int = 0
    unacknowledged: float = 0.0
    active: float = 0.0
    draining: bool = False
    unfinished: Unfinished | None = None
    rate: float = 0.0  # at which the unfinished message arrives
    turns: bool = False  # it ends, and the next one begins
    keepalive: Keepalive = field(default_factory=lambda: Keepalive(15.0, 0.0))

    def is_draining(self) -> bool:
        return self.draining

    def arrive(self, seconds: float) -> None:
        """Lets so many seconds' worth of the unfinished message arrive."""
        if self.unfinished is not None:
            number, arrived = self.unfinished
            self.unfinished = Unfinished(number + self.turns, arrived + round(self.rate * seconds))


def deadlines(**config: float) -> Deadlines:
    return Deadlines(ReflectorConfig(timeouts=Timeouts(wait_interval=2.0, close_timeout=5.0), **config), 0.0)  # type: ignore[arg-type]


def all_due(session: Deadlines, now: float, *links: Link) -> list[Input]:
    due = []
    while (happened := session.happened(now, links)) is not None:
        due.append(happened)
    assert session.next_input(links) > now
    return due


class TestWaiting:
    def test_pulses_come_by_the_clock_and_the_end_once(self) -> None:
        session = deadlines(wait_timeout=5.0)
        session.wait(0.0)
        assert session.next_input([]) == 2.0
        found = {now: all_due(session, now) for now in (1.9, 2.1, 3.9, 4.0, 5.0, 5.9)}
        assert found == {
            1.9: [],
            2.1: [Input.WAIT_PULSE],
            3.9: [],
            4.0: [Input.WAIT_PULSE],
            5.0: [Input.WAIT_EXPIRED],
            5.9: [],
        }

    def test_a_process_that_was_suspended_sends_one_pulse(self) -> None:
        session = deadlines()
        session.wait(0.0)
        assert all_due(session, 101.0) == [Input.WAIT_PULSE]
        assert session.next_input([]) == 102.0

    def test_a_link_up_ends_it(self) -> None:
        session = deadlines(wait_timeout=5.0)
        session.wait(0.0)
        session.link(1.0)
        assert all_due(session, 100.0) == []
        assert session.next_input([]) == math.inf


class TestTimeLimits:
    def test_they_run_from_the_link_up_to_the_close(self) -> None:
        session, link = deadlines(idle_timeout=10.0, max_duration=30.0), Link(active=3.0)
        assert session.left(0.0, [link]) == (math.inf, math.inf)
        session.link(3.0)
        assert session.next_input([link]) == 8.0
        assert session.left(4.0, [link]) == (29.0, 9.0)
        assert all_due(session, 8.0, link) == [Input.IDLE_NOTICE]
        assert session.happened(13.0, [link]) is Input.IDLE_EXPIRED
        session.finish(13.0)
        assert all_due(session, 13.0, link) == []

    def test_the_last_byte_of_either_side_counts(self) -> None:
        session = deadlines(idle_timeout=10.0)
        session.link(0.0)
        assert session.next_input([Link(active=1.0), Link(Side.AGENT, active=6.0)]) == 11.0


class TestDrain:
    def test_it_is_told_of_while_waiting_and_linked_and_ends_the_session(self) -> None:
        session, link = deadlines(), Link()
        session.drain(30.0, 0.0)
        session.drain(40.0, 0.0)
        assert all_due(session, 0.0) == [], "there is no client yet"
        session.wait(0.0)
        assert session.left_of_drain(1.0) == 29.0
        assert all_due(session, 1.0, link) == [Input.DRAIN_NOTICE]
        session.link(2.0)
        assert all_due(session, 2.0, link) == []
        assert session.next_input([link]) == 20.0
        assert all_due(session, 20.0, link) == [Input.DRAIN_NOTICE]
        assert session.happened(30.0, [link]) is Input.SHUTDOWN

    def test_a_session_that_closes_is_not_told(self) -> None:
        session = deadlines()
        session.drain(30.0, 0.0)
        session.finish(1.0)
        session.drain(20.0, 1.0)
        assert all_due(session, 2.0) == []
        assert session.left_of_drain(2.0) == math.inf


class TestClosing:
    """A side that answers in time is not its business."""

    @pytest.mark.parametrize(
        ("links", "waits"),
        [
            ([Link()], False),
            ([Link(backlog=1)], True),
            ([Link(backlog=1, open=False)], False),
            ([Link(), Link(Side.AGENT, backlog=1)], True),
        ],
    )
    def test_only_a_peer_that_has_not_received_its_close_is_waited_for(self, links: list[Link], waits: bool) -> None:
        session = deadlines()
        session.finish(0.0)
        assert all_due(session, 4.9, *links) == []
        assert all_due(session, 5.0, *links) == ([] if waits else [Input.CLOSE_EXPIRED])
        assert session.next_input(links) == (10.0 if waits else math.inf)

    def test_a_client_is_waited_for_as_long_as_it_takes_and_never_after_a_hurry(self) -> None:
        session, client = deadlines(), Link(backlog=7)
        session.finish(0.0)
        assert [all_due(session, now, client) for now in (5.0, 10.0, 15.0)] == [[], [], []]
        session.hurry()
        assert all_due(session, 20.0, client) == [Input.CLOSE_EXPIRED]

    def test_an_agent_must_make_progress(self) -> None:
        session, client, agent = deadlines(), Link(backlog=1), Link(Side.AGENT, backlog=100)
        session.finish(0.0)
        assert all_due(session, 5.0, client, agent) == []
        client.open, agent.backlog = False, 99
        assert all_due(session, 10.0, client, agent) == []
        assert all_due(session, 15.0, client, agent) == [Input.CLOSE_EXPIRED]


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

from __future__ import annotations

import math

import pytest

from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.session import Input, Side
from tests.unit.reflector.sessions.pair.pairlinks import Link, deadlines


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

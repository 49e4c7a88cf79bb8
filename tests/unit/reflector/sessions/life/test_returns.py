"""Sessions that agents hold: sides that come back, tickets, limits, drains."""

from __future__ import annotations

import time

import pytest
from structlog.types import EventDict

from medusa.protocol.control import Ticket
from medusa.protocol.http.about import About
from medusa.reflector.config import Timeouts
from medusa.session import Input, Side, State
from medusa.session.holding import HomeInput
from tests.peers import CLOSE
from tests.unit.reflector.conftest import refused, run_loop, until
from tests.unit.reflector.sessions.conftest import NAME, outcomes
from tests.unit.reflector.sessions.holders import BACK, ONE, Holding, Renewal, called, close_of, texts


class TestComingBack:
    def test_a_client_waits_for_the_agent(self, bench: Holding) -> None:
        _, client = bench.client(joins=True, back=BACK)
        _, second = bench.client(joins=True, back=BACK)
        assert bench.session.stage == "absent"
        with refused(409):
            bench.registry.add_agent(NAME)
        _, home = bench.home(back=BACK)
        bench.answer(home)
        bench.answer(home)
        client.linked()
        second.linked()
        assert bench.session.linked_at is not None
        assert bench.session.linked_at <= time.monotonic() - 99

    @pytest.mark.parametrize("agent_first", [True, False])
    def test_a_ticket_brings_the_name_that_a_client_has_given(self, bench: Holding, agent_first: bool) -> None:
        back = BACK._replace(session_name="train")
        if agent_first:
            bench.home(back=back)
        else:
            bench.client(joins=True, back=back)
        assert bench.session.usage.about.name == "train"

    def test_the_agent_gets_a_ticket_with_the_name(self, bench: Holding) -> None:
        _, agent = bench.home()
        bench.session.describe(Side.CLIENT, About("train"))
        bench.session.describe(Side.CLIENT, About("another"))
        until(lambda: Ticket("ticket-1") in texts(agent))
        assert bench.session.tickets.session_name == "train"

    def test_clients_alone_keep_nothing(self, bench: Holding, logs: list[EventDict]) -> None:
        _, client = bench.client(joins=True, back=BACK)
        client.fin()
        until(lambda: bench.registry.sessions() == [])
        assert outcomes(logs) == ["lonely"]

    @pytest.mark.parametrize("bench", [{"max_duration": 50.0, "timeouts": Timeouts(close_timeout=0.1)}], indirect=True)
    def test_the_maximum_duration_counts_from_the_first_link(self, bench: Holding, logs: list[EventDict]) -> None:
        _, home = bench.home(back=BACK)
        assert close_of(home) == (1000, "the session has reached its maximum duration")
        home.fin()
        until(lambda: bench.registry.sessions() == [])
        assert outcomes(logs) == ["too_long"]


def test_the_idle_timeout_counts_only_while_a_client_is_linked() -> None:
    bench = Holding(idle_timeout=0.3)
    home, client, leg = bench.linked()
    assert [close_of(peer)[1] for peer in (client, leg, home)] == ["the session was idle for too long"] * 3
    bench.close()
    bench = Holding(idle_timeout=0.01)
    place, _ = bench.home()
    assert place._deadlines() == {}
    bench.close()


def test_tickets_are_renewed_at_the_first_link(bench: Holding) -> None:
    """From then on they say when the session was first linked."""
    home = bench.linked()[0]
    until(lambda: Ticket("ticket-1") in texts(home))


def test_a_killed_session_does_not_move(bench: Holding) -> None:
    """Its tickets are void also if the reflector stops before the session has ended."""
    bench.linked()
    given = bench.session.tickets
    given.build(BACK, Side.AGENT)
    bench.session.tell(Input.KILLED)
    bench.registry.drain(time.monotonic() + 1000)
    run_loop()
    assert not bench.session.can_move
    until(lambda: bench.registry.sessions() == [])
    with refused(410):
        bench.registry.desk.check_not_over(NAME, BACK._replace(birth=given.birth))


def test_draining_that_begins_while_the_end_of_a_session_is_looked_up(
    bench: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session would begin in a reflector that has told all others to end."""

    def drain(*_: object) -> None:
        bench.registry.drain(time.monotonic() + 1000)

    monkeypatch.setattr(bench.registry.desk, "check_not_over", drain)
    with refused(503, retry_after=1):
        bench.registry.open(NAME, "a", back=BACK)
    assert bench.registry.sessions() == []
    assert bench.claims.elsewhere(NAME) is None, "its name is free at once"


class TestLimits:
    @pytest.mark.parametrize("bench", [{"max_held_sessions": 1}], indirect=True)
    def test_sessions_that_are_held(self, bench: Holding) -> None:
        bench.home()
        other = NAME._replace(session_id="other")
        with refused(503, "--max-held-sessions", retry_after=5):
            bench.registry.hold(other, "a", 60.0, ONE)
        bench.registry.open(other, "a").refuse(Side.CLIENT)
        assert not bench.registry.can_hold(other), "a client waits: its agent is let in without a hold"

    def test_a_place_is_given_back(self, bench: Holding) -> None:
        home, agent = bench.home()
        home.tell(HomeInput.KILLED)
        agent.fin()
        until(lambda: bench.registry.sessions() == [])
        assert len(bench.registry._limits) == 0


def test_a_drain_sends_away_those_that_can_come_back_after_their_name_is_free(logs: list[EventDict]) -> None:
    bench = Holding()
    home, client, leg = bench.linked()
    _, plain = bench.client(joins=True, holds=False)
    bench.answer(home)
    plain.linked()
    assert bench.claims.elsewhere(NAME) is None
    bench.registry.drain(time.monotonic() + 1000)
    assert [close_of(peer)[0] for peer in (home, client, leg)] == [1012] * 3
    until(lambda: bench.session.clients == 1)
    plain.binary(b"x")
    bench.close()


@pytest.mark.parametrize(
    ("side", "holds", "code"),
    [(Side.CLIENT, True, 1012), (Side.CLIENT, False, 1000), (Side.AGENT, False, 1012)],
)
def test_a_side_that_can_come_back_does_so_if_its_pair_has_ended_during_its_upgrade(
    bench: Holding, side: Side, holds: bool, code: int
) -> None:
    _, home = bench.home()
    if side is Side.CLIENT:
        pair = bench.registry.open(NAME, "127.0.0.1:8")
        pair.refuse(Side.CLIENT)
    else:
        _, client = bench.client()
        pair = bench.registry.add_agent(NAME, "", called(home))
        client.close()
    until(lambda: pair.state is State.ENDED)
    late = bench._enter(pair, side, Renewal() if holds else None)
    closed = late.frame()
    assert (closed.opcode, int.from_bytes(closed.payload[:2], "big")) == (CLOSE, code)

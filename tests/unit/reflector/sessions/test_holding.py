"""Sessions that an agent holds: the home link, the clients for whom the agent is called, and all ends."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from structlog.types import EventDict

from medusa.protocol.control import Ticket
from medusa.protocol.http.about import About
from medusa.reflector.config import Timeouts
from medusa.reflector.sessions.life.home import Home
from medusa.reflector.tickets.ended import mark_of
from medusa.session import Input, Side, State
from medusa.session.holding import HomeInput, HomeState
from tests.peers import CLOSE, close_frame
from tests.unit.reflector.conftest import refused, run_loop, until
from tests.unit.reflector.sessions.conftest import NAME, outcomes
from tests.unit.reflector.sessions.holders import BACK, ONE, OTHER, Holding, Renewal, called, close_of, texts


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Holding]:
    """A bench, with the options that the test names."""
    bench = Holding(**getattr(request, "param", {}))
    yield bench
    bench.close()


def test_an_agent_that_comes_first_waits_and_is_called(bench: Holding, logs: list[EventDict]) -> None:
    home, agent = bench.home()
    session = bench.session
    assert (session.stage, session.links, session.clients, session.held_until) == ("held", 1, 0, None)
    _, client = bench.client()
    assert session.stage == "waiting"
    leg = bench.answer(agent)
    client.linked()
    assert (session.stage, session.clients, session.links) == ("linked", 1, 3)
    client.send(close_frame())
    until(lambda: session.pairs == [])
    assert leg.word().opcode == CLOSE
    assert session.stage == "held", "the end of a client ends its pair only"
    agent.send(close_frame(1000, "done"))
    until(lambda: bench.registry.sessions() == [])
    assert outcomes(logs) == ["completed"]
    assert logs[-1]["reason"] == "agent: closed (done)"
    assert logs[-1]["legs"] == 1
    assert home.machine.state is HomeState.ENDED


def test_a_client_that_comes_first_is_called_for(bench: Holding) -> None:
    _, client = bench.client()
    _, agent = bench.home()
    bench.answer(agent)
    client.linked()


def test_who_may_come_when(bench: Holding) -> None:
    home, client, _ = bench.linked()
    with refused(409, "client already"):
        bench.registry.open(NAME, "a")
    with refused(409, "agent already"):
        bench.registry.hold(NAME, "a", 60.0, OTHER)
    with refused(409, "agent already"):
        bench.registry.add_agent(NAME)
    bench.client(joins=True)
    client.send(close_frame())
    bench.answer(home)
    until(lambda: bench.session.clients == 1)


def test_a_lost_home_link(bench: Holding, logs: list[EventDict]) -> None:
    home, client, leg = bench.linked()
    session = bench.session
    home.fin()
    until(lambda: session.home is not None and session.home.machine.state is HomeState.ABSENT)
    assert session.stage == "linked"
    client.binary(b"goes on")
    assert leg.word().payload == b"goes on"
    client.fin()
    until(lambda: session.pairs == [])
    assert session.stage == "absent"
    assert 50 < (session.held_until or 0) - time.time() <= 60
    _, second = bench.client()
    _, third = bench.client(joins=True)
    assert [pair.state for pair in session.pairs] == [State.WAITING] * 2
    _, back = bench.home()
    assert len({bench.answer(back), bench.answer(back)}) == 2
    second.linked()
    third.linked()
    assert session.held_until is None
    assert outcomes(logs) == []


def test_the_agent_is_called_once_for_each_client(bench: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    _, agent = bench.home()
    clients = [bench.client(joins=True)[1] for _ in range(3)]
    again: list[str] = []
    monkeypatch.setattr(Home, "call", lambda home, leg: again.append(leg))
    for client in clients:
        bench.answer(agent)
        client.linked()
    assert again == []


def test_a_home_link_of_the_same_process_replaces_the_present_one(bench: Holding) -> None:
    _, first = bench.home()
    with refused(409):
        bench.registry.hold(NAME, "a", 60.0, OTHER)
    _, second = bench.home()
    assert close_of(first) == (1000, "replaced")
    first.fin()
    run_loop()
    bench.client()
    bench.answer(second)


@pytest.mark.parametrize("bench", [{"timeouts": Timeouts(close_timeout=0.1)}], indirect=True)
def test_a_hold_that_expires(bench: Holding, logs: list[EventDict]) -> None:
    _, home = bench.home(hold=0.05)
    _, client = bench.client()
    home.fin()
    assert close_of(client) == (1000, "the session has ended")
    client.fin()
    until(lambda: bench.registry.sessions() == [])
    assert outcomes(logs) == ["abandoned"]


@pytest.mark.parametrize(
    ("happened", "code", "outcome"),
    [(Input.KILLED, 1000, "killed"), (Input.CLAIM_LOST, 1012, "ended"), (Input.SHUTDOWN, 1012, "shut_down")],
)
def test_ends_of_the_whole(bench: Holding, logs: list[EventDict], happened: Input, code: int, outcome: str) -> None:
    peers = bench.linked()
    bench.session.tell(happened)
    assert [close_of(peer)[0] for peer in peers] == [code] * 3
    until(lambda: bench.registry.sessions() == [])
    assert outcomes(logs) == [outcome]


def test_a_side_that_is_lost_lets_the_other_one_come_back(bench: Holding) -> None:
    home, client, leg = bench.linked()
    leg.fin()
    assert close_of(client) == (1012, "remote connection error")
    client.fin()
    until(lambda: bench.session.pairs == [])
    _, client = bench.client()
    leg = bench.answer(home)
    client.fin()
    assert close_of(leg) == (1012, "remote connection reset")


@pytest.mark.parametrize("bench", [{"timeouts": Timeouts(close_timeout=0.1, call_timeout=0.05)}], indirect=True)
def test_a_call_that_is_not_answered(bench: Holding) -> None:
    bench.home()
    _, without = bench.client(holds=False)
    assert close_of(without) == (1000, "the session's agent did not answer the call")
    without.fin()
    until(lambda: bench.session.pairs == [])
    _, holding = bench.client()
    assert close_of(holding)[0] == 1012


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


def test_an_end_that_becomes_known_while_the_name_is_claimed(bench: Holding) -> None:
    desk = bench.registry.desk
    desk.ended.add(mark_of(NAME, BACK.birth), int(time.time()) + 60)
    with refused(410):
        bench.client(back=BACK)
    assert bench.registry.sessions() == []
    bench.home()


def test_an_upgrade_that_fails(bench: Holding, logs: list[EventDict]) -> None:
    bench.registry.hold(NAME, "a", 60.0, ONE).refuse(Side.AGENT)
    until(lambda: bench.registry.sessions() == [])
    assert outcomes(logs) == ["refused"]
    _, client = bench.client()
    bench.registry.hold(NAME, "a", 60.0, ONE).refuse(Side.AGENT)
    run_loop()
    bench.home(OTHER)
    assert isinstance(texts(client), list)


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

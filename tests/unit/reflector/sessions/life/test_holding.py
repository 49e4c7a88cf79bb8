"""Sessions that an agent holds: the home link, the clients for whom the agent is called, and all ends."""

from __future__ import annotations

import time

import pytest
from structlog.types import EventDict

from medusa.reflector.config import Timeouts
from medusa.reflector.sessions.life.home import Home
from medusa.reflector.tickets.ended import mark_of
from medusa.session import Input, Side, State
from medusa.session.holding import HomeState
from tests.peers import CLOSE, close_frame
from tests.unit.reflector.conftest import refused, run_loop, until
from tests.unit.reflector.sessions.conftest import NAME, outcomes
from tests.unit.reflector.sessions.holders import BACK, ONE, OTHER, Holding, close_of, texts


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

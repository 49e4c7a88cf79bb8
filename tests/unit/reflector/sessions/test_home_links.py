"""The home link of an agent that holds its session: its silence, its news, its end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from structlog.types import EventDict

from medusa.protocol.http.about import About
from medusa.reflector.admin.lists.session_list import describe
from medusa.reflector.config import Timeouts
from medusa.session import JOB_OVER, Side
from medusa.session.holding import HomeState
from tests.peers import LINKUP, PING, PONG, TEXT, close_frame, frame
from tests.unit.reflector.conftest import refused, run_loop, until
from tests.unit.reflector.sessions.conftest import NAME, outcomes
from tests.unit.reflector.sessions.holders import ONE, OTHER, Holding, called, close_of


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Holding]:
    """A bench, with the options that the test names."""
    bench = Holding(**getattr(request, "param", {}))
    yield bench
    bench.close()


SOON = {"timeouts": Timeouts(close_timeout=0.1, home_timeout=0.1)}


@pytest.mark.parametrize("bench", [SOON], indirect=True)
def test_a_home_link_that_does_not_answer_a_call_is_lost(bench: Holding) -> None:
    home, _ = bench.home()
    _, client = bench.client()
    until(lambda: home.machine.state is HomeState.ABSENT)
    _, agent = bench.home()
    assert home.is_there
    assert called(agent)
    client.fin()


@pytest.mark.parametrize("by", ["pong", "leg"])
def test_a_home_link_whose_agent_answers_a_call_is_not_lost(bench: Holding, by: str) -> None:
    home, agent = bench.home()
    bench.client()
    leg_id = called(agent)
    assert home._link is not None
    assert home._link.keepalive.limit == Timeouts.home_timeout
    ping = agent.frame()
    if by == "pong":
        agent.control(PONG, ping.payload)
    else:
        bench.attach(bench.registry.add_agent(NAME, "", leg_id), Side.AGENT)
    until(lambda: home._link is not None and home._link.keepalive.limit == 45)
    assert ping.opcode == PING


def test_the_agent_says_what_it_keeps_the_session_for(bench: Holding) -> None:
    home, agent = bench.home()
    session, now = bench.session, time.time()

    def said(**fields: object) -> str | None:
        whole = frame(TEXT, ("mlogin:" + json.dumps({"type": "kept", **fields})).encode())
        for part in (whole[:9], whole[9:] + frame(PING)):  # also in pieces
            agent.send(part)
            run_loop()
        assert agent.frame().opcode == PONG
        return session.held_for

    assert said(what="parked", seconds=60) == "parked"
    assert 59 < (session.held_until or 0) - now < 90
    assert said(what="love") == "parked"
    assert said(what="hold", seconds=1e9) == "parked"
    assert said(what="hold", seconds=5, more="x" * 512) == "parked"
    assert said(what="detached") == "detached"
    assert session.held_until is None
    session.usage.about = About(until=2000000000)
    assert session.held_until == 2000000000
    assert said() is session.held_until is None
    assert session.command_end is None
    said(what="parked", seconds=60, ended="status 3")
    assert describe(session, "")["ended"] == "status 3"
    said(what="hold", seconds=60)
    assert "ended" not in describe(session, "")
    agent.fin()
    until(lambda: home.machine.state is HomeState.ABSENT)
    assert session.held_for == "agent"
    bench.home()
    assert session.held_for is session.held_until is None


@pytest.mark.parametrize("bench", [{"timeouts": Timeouts(close_timeout=0.1)}], indirect=True)
@pytest.mark.parametrize("how", ["expires", "breaks a rule"])
def test_clients_come_over_the_links_that_are_left_after_a_hold_has_ended(bench: Holding, how: str) -> None:
    _, agent = bench.home(hold=0.05 if how == "expires" else 60.0)
    _, client = bench.client()
    leg = bench.attach(bench.registry.add_agent(NAME, "", called(agent)), Side.AGENT, "call")
    client.linked()
    leg.expect(TEXT, LINKUP)
    if how == "expires":
        agent.fin()
    else:
        agent.send(frame(TEXT, b"\xff"))
    until(lambda: not bench.session.is_held)
    with refused(409, "client already"):
        bench.client()
    _, second = bench.client(joins=True)
    bench.answer(leg)
    second.linked()
    with refused(409, "agent already"):
        bench.home(OTHER)
    if how == "expires":  # the same agent may come back meanwhile
        bench.registry.hold(NAME, "a", 60.0, ONE).refuse(Side.AGENT)
        until(lambda: not bench.session.is_held)
        bench.home(ONE)
        assert bench.session.is_held
    else:
        with refused(409, "agent already"):
            bench.home(ONE)


@pytest.mark.parametrize("present", [False, True])
def test_a_job_that_is_over_is_not_waited_for(bench: Holding, logs: list[EventDict], present: bool) -> None:
    _, agent = bench.home()
    if not present:
        agent.fin()
        until(lambda: bench.session.stage == "absent")
    _, client = bench.client()
    client.send(close_frame(JOB_OVER, "the job is over"))
    if present:
        assert close_of(agent) == (1000, "the job is over")
        agent.fin()
    until(lambda: bench.registry.sessions() == [])
    assert outcomes(logs) == ["lost"]

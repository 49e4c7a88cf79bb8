"""One session with real connections: what comes at the same moment, who owns a linked pair, and what a bug costs."""

from __future__ import annotations

import gc
import select
import time
import weakref

import pytest
from structlog.types import EventDict

from medusa.protocol.keepalive import Keepalive
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.sessions.pair.runner import Runner
from medusa.session import Input, SessionMachine, Side, State
from tests.peers import BINARY, LINKUP, PING, TEXT, close_frame, frame
from tests.unit.reflector.conftest import errors, run_loop, until
from tests.unit.reflector.sessions.conftest import NAME, Bench, outcomes
from tests.waiting import PATIENCE


def test_shut_down_during_the_clients_upgrade(bench: Bench, logs: list[EventDict]) -> None:
    session = bench.registry.open(NAME, "a")
    session.tell(Input.SHUTDOWN)
    run_loop()
    client = bench.attach(session, Side.CLIENT)
    assert client.frame().close == (1000, "the session is over")
    assert outcomes(logs) == ["shut_down"]


@pytest.mark.parametrize("end", [close_frame(), None], ids=["close", "fin"])
def test_the_client_goes_during_the_agents_upgrade(bench: Bench, logs: list[EventDict], end: bytes) -> None:
    session, client = bench.waiting()
    expected = bench.registry.add_agent(NAME)
    client.send(end) if end else client.fin()
    until(lambda: not bench.registry.sessions())
    agent = bench.attach(expected, Side.AGENT)
    assert agent.closed() == (1000, "the session is over")
    assert outcomes(logs) == ["lonely"]
    assert session.machine.state is State.ENDED


@pytest.mark.parametrize("first", ["attach", "loss"])
def test_the_client_is_lost_in_the_turn_in_which_the_agent_comes(
    bench: Bench, logs: list[EventDict], first: str
) -> None:
    session, client = bench.waiting()
    bench.registry.add_agent(NAME)
    client.fin()
    if first == "loss":
        leg = session._sides[Side.CLIENT]
        assert select.select([leg.transport.fileno()], [], [], PATIENCE)[0]
        leg._on_readable()
    agent = bench.attach(session, Side.AGENT)
    if first == "attach":
        agent.expect(TEXT, LINKUP)
        assert agent.closed() == (1000, "remote connection reset")
    else:
        assert agent.closed() == (1000, "the session is over")
    until(lambda: outcomes(logs))
    assert outcomes(logs) == ["lost" if first == "attach" else "lonely"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "happened", [Input.CLIENT_CLOSED, Input.CLIENT_LOST, Input.CLIENT_BROKE_RULES, Input.SHUTDOWN, None]
)
def test_an_end_of_the_wait_at_the_same_time_as_its_deadlines(
    bench: Bench, logs: list[EventDict], happened: Input | None, order: int
) -> None:
    session, _ = bench.waiting()
    session._deadlines._timed = dict([(Input.WAIT_PULSE, 0.0), (Input.WAIT_EXPIRED, 0.0)][::order])
    if happened is not None:
        session.tell(happened)
    session._step()
    until(lambda: outcomes(logs))
    assert outcomes(logs) in (["lonely"], ["ended"], ["shut_down"], ["expired"])
    assert not errors(logs)


def test_an_agent_that_comes_after_the_end(bench: Bench, logs: list[EventDict]) -> None:
    session, client = bench.waiting()
    bench.registry.add_agent(NAME)
    session.tell(Input.SHUTDOWN)
    agent = bench.attach(session, Side.AGENT)
    assert agent.frame().close == (1000, "the session is over")
    assert agent.until_fin() == b""
    assert client.closed() == (1001, "the reflector is shutting down")
    until(lambda: outcomes(logs))
    assert outcomes(logs) == ["shut_down"]


def test_an_agent_and_a_pulse(bench: Bench, logs: list[EventDict]) -> None:
    session, client = bench.waiting()
    session._deadlines._timed[Input.WAIT_PULSE] = 0.0
    agent = bench.attach(bench.registry.add_agent(NAME), Side.AGENT)
    run_loop()
    client.expect(TEXT, LINKUP)
    agent.expect(TEXT, LINKUP)
    assert session.machine.state is State.LINKED


def test_a_bug_in_the_sessions_greenlet(bench: Bench, logs: list[EventDict]) -> None:
    session, client, agent = bench.linked()
    session.machine = SessionMachine()
    client.send(close_frame())
    assert client.frame().close == (1000, "")
    client.until_fin()
    assert agent.frame().close == (1000, "the session is over")
    agent.until_fin()
    assert bench.registry.sessions() == []
    assert outcomes(logs) == ["ended"]
    assert errors(logs) == ["session failed"]


def test_a_client_that_waits_alone_has_no_greenlet(bench: Bench) -> None:
    session, _ = bench.waiting()
    assert session._pair is None


def test_the_pairs_greenlet_lives_from_the_link_up_to_the_release(bench: Bench, logs: list[EventDict]) -> None:
    session, client, agent = bench.linked()
    pair = session._pair
    assert pair is not None
    client.send(frame(BINARY, b"typed"))
    agent.expect(BINARY, b"typed")
    assert pair
    assert not pair.dead
    client.send(close_frame())
    assert agent.closed() == (1000, "")
    until(lambda: pair.dead)
    assert outcomes(logs) == ["completed"]
    assert errors(logs) == []


def test_data_and_pings_do_not_wake_the_pairs_greenlet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle pair's greenlet must not call a Python function: that would cost it 4 KiB for good."""
    session, client, agent = bench.linked()
    steps: list[None] = []
    monkeypatch.setattr(Runner, "_step", lambda _: steps.append(None))
    client.send(frame(BINARY, b"typed"))
    agent.expect(BINARY, b"typed")
    for endpoint in session._sides.values():
        endpoint.keepalive = Keepalive(15.0, time.monotonic() - 20.0)
    session._look()
    agent.expect(PING, b"medusa")
    assert steps == []
    monkeypatch.undo()


def test_an_agent_whose_upgrade_fails_leaves_its_place(bench: Bench) -> None:
    session, _ = bench.waiting()
    assert session.expect_agent()
    assert not session.expect_agent()
    session.tell(Input.AGENT_REFUSED)
    run_loop()
    assert session.expect_agent()


def test_a_bug_in_the_link_up(bench: Bench, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch) -> None:
    session, client = bench.waiting()
    bench.registry.add_agent(NAME)
    monkeypatch.setattr(Pair, "_join_endpoints", lambda _: 1 / 0)
    agent = bench.attach(session, Side.AGENT)
    assert agent.closed() == (1000, "the session is over")
    assert client.closed() == (1000, "the session is over")
    until(lambda: session._pair is not None and session._pair.dead)
    assert (outcomes(logs), errors(logs)) == (["ended"], ["session failed"])


def test_a_killed_session_that_waits_says_so_before_its_close(bench: Bench, logs: list[EventDict]) -> None:
    session, client = bench.waiting()
    session.tell(Input.KILLED)
    client.expect(TEXT, b'medusa:{"type":"wait","outcome":"killed"}')
    assert client.closed() == (1000, "the session was killed")
    until(lambda: outcomes(logs))
    assert [entry["reason"] for entry in logs if entry["event"] == "session ended"] == ["the session was killed"]


def test_a_plain_clients_agent_gets_start_and_done(bench: Bench, logs: list[EventDict]) -> None:
    session = bench.registry.open(NAME, "127.0.0.1:2")
    client = bench.attach_plain(session, Side.CLIENT)
    run_loop()
    agent = bench.attach(bench.registry.add_agent(NAME), Side.AGENT)
    run_loop()
    agent.expect(TEXT, LINKUP)
    assert agent.frame().payload.startswith(b'mlogin:{"type":"start"')
    agent.send(frame(BINARY, b"$ ") + frame(TEXT, b'mlogin:{"type":"exit"}'))
    assert agent.closed() == (1000, "done")
    until(lambda: outcomes(logs))
    assert outcomes(logs) == ["completed"]
    assert client.recv(100) == b"OK linked\n$ "


def test_the_notice_of_a_session_that_lasts_names_its_limit(bench: Bench) -> None:
    """This one has no limit."""
    session, client, _ = bench.linked()
    session.tell(Input.DURATION_NOTICE)
    words = b"the session ends in inf s: it may not last longer than 0 s"
    client.expect(TEXT, b'medusa:{"type":"notice","text":"%s"}' % words)


def test_a_drain_is_told_to_a_client_that_wants_to_know(bench: Bench, logs: list[EventDict]) -> None:
    """Also to one whose upgrade is still under way when it begins."""
    session = bench.registry.open(NAME, "a")
    bench.registry.drain(time.monotonic() + 30)
    run_loop()
    client = bench.attach(session, Side.CLIENT, "notice")
    run_loop()
    text = b'medusa:{"type":"notice","text":"the reflector is shutting down; the session ends in 30 s"}'
    client.expect(TEXT, text)
    session.drain(time.monotonic() + 20, "it is sooner")
    client.expect(TEXT, text.replace(b"the reflector is shutting down", b"it is sooner").replace(b"30 s", b"20 s"))
    session.drain(time.monotonic())
    assert client.closed() == (1001, "the reflector is shutting down")
    until(lambda: outcomes(logs))
    assert (outcomes(logs), errors(logs)) == (["shut_down"], [])


def test_a_drain_is_nothing_to_a_client_that_does_not_know_of_it(bench: Bench) -> None:
    _, client, agent = bench.linked()
    bench.registry.drain(time.monotonic() + 30)
    run_loop()
    agent.send(frame(BINARY, b"x"))
    client.expect(BINARY, b"x")


def test_a_pair_that_is_over_needs_no_garbage_collection(bench: Bench) -> None:
    session, client, agent = bench.linked()
    endpoints = [weakref.ref(session.sides[side]) for side in Side]
    gc.disable()
    try:
        for peer in (client, agent):
            peer.send(close_frame())
            peer.until_fin()
        del session
        until(lambda: not any(endpoint() for endpoint in endpoints))
    finally:
        gc.enable()

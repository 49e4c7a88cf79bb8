"""A session with several pairs: its limits, its ends, what it amounts to, and what is told to which pair."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.types import EventDict

from medusa.protocol.control import Call, parse
from medusa.reflector.admin.exposition import exposition
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.sessions.life.session import Session
from medusa.session import Input, Side, State
from tests.peers import CLOSE, LINKUP, TEXT, Peer, close_frame
from tests.unit.reflector.conftest import errors, refused, run_loop, until
from tests.unit.reflector.sessions.conftest import NAME, Bench, outcomes

ENDED = (1000, "the session has ended")


def session_of(bench: Bench) -> Session:
    (session,) = bench.registry.sessions()
    return session


def calls(agent: Peer) -> list[str]:
    """The legs of all calls that have come."""
    found = []
    while not agent.quiet(0):
        message = parse(agent.frame().payload.decode())
        assert isinstance(message, Call)
        found.append(message.leg)
    return found


def last_close(peer: Peer) -> tuple[int, str]:
    """The Close that comes after texts."""
    while (word := peer.word()).opcode != CLOSE:
        assert word.opcode == TEXT
    return word.close


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench with the options that the test names."""
    bench = Bench(config=ReflectorConfig(**{"timeouts": Timeouts(close_timeout=0.1), **request.param}))
    yield bench
    bench.close()


def test_what_a_session_amounts_to(bench: Bench, logs: list[EventDict]) -> None:
    _, client, agent = bench.linked("call")
    session = session_of(bench)
    _, second, third = bench.leg()
    assert (session.legs, session.links, session.state) == (2, 4, State.LINKED)
    client.binary(b"first")
    third.binary(b"of the leg")
    agent.word()
    agent.word()
    second.word()
    second.send(close_frame())
    until(lambda: session.legs == 1)
    assert session.counts()["agent_bytes"] == 10
    assert session.terminal_bytes() == {"typed_bytes": 5, "shown_bytes": 10}
    client.fin()
    until(lambda: not bench.registry.sessions())
    ends = [entry for entry in logs if entry["event"] in ("leg ended", "session ended")]
    assert [(e["event"], e.get("leg"), e["outcome"], e["agent_bytes"]) for e in ends] == [
        ("leg ended", 2, "completed", 10),
        ("leg ended", 1, "lost", 0),
        ("session ended", None, "lost", 10),
    ]
    assert ends[-1]["legs"] == 2
    assert b"medusa_legs_joined_total 1.0" in exposition(bench.metrics.families())


@pytest.mark.parametrize("limited", [{"max_legs": 2, "timeouts": Timeouts()}], indirect=True)
def test_pairs_that_are_closing_leave_room_up_to_the_limit(limited: Bench) -> None:
    limited.linked("call")
    for _ in range(3):
        leg, *_ = limited.leg()
        with refused(503, "--max-legs", retry_after=5):
            limited.registry.join(NAME, "a")
        leg.tell(Input.SHUTDOWN)
        run_loop()
    with refused(503, "--max-legs", retry_after=5):
        limited.registry.join(NAME, "a")


def test_a_client_that_joined_and_went_away_does_not_decide_the_outcome(bench: Bench, logs: list[EventDict]) -> None:
    _, client, agent = bench.linked("call")
    pair, _ = bench.joined()
    assert bench.registry.add_agent(NAME, leg_id=pair.leg_id) is pair
    client.send(close_frame())
    agent.send(close_frame())
    until(lambda: session_of(bench).legs == 1)
    pair.tell(Input.CLIENT_LOST)
    until(lambda: outcomes(logs))
    assert outcomes(logs) == ["completed"]


class TestEndsOfAll:
    @pytest.mark.parametrize(
        ("happened", "close", "outcome"),
        [
            (Input.KILLED, (1000, "the session was killed"), "killed"),
            (Input.CLAIM_LOST, (1000, "this reflector lost the session's id to another"), "ended"),
            (Input.SHUTDOWN, (1001, "the reflector is shutting down"), "shut_down"),
        ],
    )
    def test_told_to_all(
        self, bench: Bench, logs: list[EventDict], happened: Input, close: tuple[int, str], outcome: str
    ) -> None:
        _, *first = bench.linked("call")
        _, *leg = bench.leg()
        _, late = bench.joined()
        under_way = bench.registry.join(NAME, "127.0.0.1:5")
        session_of(bench).tell(happened)
        assert {last_close(peer) for peer in (*first, *leg, late)} == {close}
        until(lambda: not bench.registry.sessions())
        assert under_way.state is State.ENDED
        assert (outcomes(logs), errors(logs)) == ([outcome], [])

    @pytest.mark.parametrize(
        ("limited", "close"),
        [
            ({"max_duration": 0.2}, (1000, "the session has reached its maximum duration")),
            ({"idle_timeout": 0.2}, (1000, "the session was idle for too long")),
        ],
        indirect=["limited"],
    )
    def test_limits_of_time(self, limited: Bench, logs: list[EventDict], close: tuple[int, str]) -> None:
        """Also after the first pair is gone: a limit is one of the session."""
        _, client, agent = limited.linked("call")
        _, *leg = limited.leg()
        _, *other = limited.leg()
        client.send(close_frame())
        agent.close()
        assert {last_close(peer) for peer in (*leg, *other)} == {close}
        until(lambda: outcomes(logs))

    @pytest.mark.parametrize("limited", [{"idle_timeout": 30.0}], indirect=True)
    def test_activity_on_any_leg_is_the_sessions(self, limited: Bench) -> None:
        first, *_ = limited.linked("call")
        leg, _, agent = limited.leg()
        for pair in (first, leg):
            for endpoint in pair.sides.values():
                endpoint.active -= 29.0
        before = first._deadlines.left(time.monotonic(), first.sides.values())[1]
        agent.binary(b"output")
        until(lambda: leg.sides.terminal_bytes()["shown_bytes"])
        after = [pair._deadlines.left(time.monotonic(), pair.sides.values())[1] for pair in (first, leg)]
        assert before < 2 < min(after)

    def test_while_draining_nobody_joins(self, bench: Bench) -> None:
        bench.linked("call")
        bench.registry.draining = True
        with refused(503, "shutting down", retry_after=1):
            bench.registry.join(NAME, "a")

    def test_a_drain_of_a_forwarder_ends_the_pairs_that_it_forwards(self, bench: Bench) -> None:
        first, client, _ = bench.linked("call")
        leg, *_ = bench.leg()
        assert not session_of(bench).drain_forwarded(time.monotonic(), "words", "")
        leg.is_forwarded = leg.shows_notices = first.shows_notices = True
        assert session_of(bench).drain_forwarded(time.monotonic(), "words", "")
        until(lambda: leg.state is State.ENDED)
        assert first.state is State.LINKED
        assert client.quiet(0)


class TestCalls:
    def test_a_pair_that_is_just_being_linked_is_called_after_its_linkup(self, bench: Bench) -> None:
        """The first pair ends in the same moment: the only other one has not been told of its link yet."""
        first, _, agent = bench.linked("call")
        leg, _ = bench.joined()
        (leg_id,) = calls(agent)
        late = bench.registry.join(NAME, "127.0.0.1:3")
        link = bench.attach(bench.registry.add_agent(NAME, leg_id=leg_id), Side.AGENT)
        first.tell(Input.AGENT_LOST)
        bench.attach(late, Side.CLIENT)
        link.expect(TEXT, LINKUP)
        until(lambda: late.called_over is leg)
        assert calls(link) == [late.leg_id]

    @pytest.mark.parametrize("limited", [{"timeouts": Timeouts(call_interval=1000.0)}], indirect=True)
    def test_a_call_over_a_link_that_ends_is_made_again_at_once(self, limited: Bench) -> None:
        first, client, _ = limited.linked("call")
        _, _, other = limited.leg()
        late, _ = limited.joined()
        assert late.called_over is first
        client.send(close_frame())
        until(lambda: late.called_over is not first)
        assert calls(other) == [late.leg_id]

    def test_a_client_whose_upgrade_is_under_way_when_the_session_ends(self, bench: Bench) -> None:
        first, client, _ = bench.linked("call")
        late = bench.registry.join(NAME, "127.0.0.1:3")
        first.tell(Input.AGENT_LOST)
        client.send(close_frame())
        until(lambda: session_of(bench).pairs == [late])
        with refused(409):
            bench.registry.join(NAME, "127.0.0.1:4")
        assert last_close(bench.attach(late, Side.CLIENT)) == ENDED

    def test_an_agent_that_dials_may_come_although_the_last_link_has_ended(self, bench: Bench) -> None:
        _, client, agent = bench.linked("call")
        late, joined = bench.joined()
        bench.registry.add_agent(NAME, leg_id=calls(agent)[0])
        client.send(close_frame())
        agent.send(close_frame())
        until(lambda: session_of(bench).pairs == [late])
        link = bench.attach(late, Side.AGENT)
        link.expect(TEXT, LINKUP)
        joined.expect(TEXT, LINKUP)


def test_any_order_of_events(logs: list[EventDict]) -> None:
    """Steps at random: at the end nothing lives, nothing is counted, and each leg has one record."""
    rng = random.Random(2)
    bench = Bench(config=ReflectorConfig(timeouts=Timeouts(close_timeout=0.01)))
    for _ in range(15):
        _, *peers = bench.linked("call")
        session, waiting = session_of(bench), list[Any]()
        for _ in range(30):
            step = rng.randrange(5)
            if not bench.registry.sessions():
                break
            if step == 0 and session.state is State.LINKED and session.legs < 16:
                pair = bench.registry.join(NAME, "a")
                if rng.random() < 0.1:
                    pair.tell(Input.CLIENT_REFUSED)
                else:
                    peers.append(bench.attach(pair, Side.CLIENT))
                    waiting.append(pair)
            elif step == 1 and waiting:
                pair = waiting.pop(rng.randrange(len(waiting)))
                if pair.leg_id and pair.state is State.WAITING:
                    bench.registry.add_agent(NAME, leg_id=pair.leg_id)
                    if rng.random() < 0.2:
                        pair.tell(Input.AGENT_REFUSED)
                    else:
                        peers.append(bench.attach(pair, Side.AGENT))
            elif step == 2 and rng.random() < 0.5:
                rng.choice([Peer.reset, Peer.close])(peers.pop(rng.randrange(len(peers)))) if peers else None
            elif step == 3 and rng.random() < 0.05:
                session.tell(Input.KILLED)
            else:
                run_loop()
        for peer in peers:
            peer.close()
        until(lambda: not bench.registry.sessions())
        (ended,) = [entry for entry in logs if entry["event"] == "session ended"]
        records = sorted(entry["leg"] for entry in logs if entry["event"] == "leg ended")
        assert records == (list(range(1, ended["legs"] + 1)) if ended["legs"] > 1 else [])
        logs.clear()
    assert len(bench.registry._limits) == 0
    assert errors(logs) == []
    bench.close()

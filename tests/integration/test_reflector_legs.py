"""Clients that join a session, the calls to its agent, and what the end of one pair means for the others."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests import legs
from tests.administrators import KILLED, farewell
from tests.legs import Linked
from tests.peers import BINARY, CLOSE, Frame, Peer, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_target
from tests.waiting import wait_until
from tests.witnesses import Witness

REFLECTOR_OPTIONS = ("--raw-port", "0")

QUICK = {"call_interval": 0.1, "call_timeout": 0.4, "close_timeout": 0.5}

HOST = "medusa.example"
NO_ANSWER = (1000, "the session's agent did not answer the call")
TAKEN = (409, "the session has a client already")
ENDED = (1000, "the session has ended")


def talk(client: Peer, agent: Peer, data: bytes) -> None:
    """Bytes pass in both directions, and nothing else does."""
    client.control(BINARY, data)
    assert agent.word() == Frame(BINARY, data)
    agent.control(BINARY, data)
    assert client.word() == Frame(BINARY, data)


def end(client: Peer, agent: Peer) -> None:
    """The client closes; both sides end in order."""
    client.control(CLOSE, (1000).to_bytes(2, "big") + b"done")
    assert client.closed()[0] == 1000
    assert agent.closed() == (1000, "done")


@pytest.fixture(scope="module")
def quick() -> Iterator[Reflector]:
    """A reflector that does not wait long for an answer to a call, and allows few clients."""
    with running("--max-legs", "3", timeouts=QUICK) as reflector:
        yield reflector


@pytest.fixture
def session(reflector: Reflector) -> Iterator[Linked]:
    with legs.session(reflector) as session:
        yield session


@pytest.mark.parametrize("kinds", [("websocket", "websocket"), ("websocket", "framed"), ("framed", "websocket")])
def test_a_client_joins_and_the_called_agent_answers(reflector: Reflector, kinds: tuple[str, str]) -> None:
    with legs.session(reflector) as (name, client, agent):
        with legs.leg(reflector, name, agent, kinds) as leg:
            assert legs.shown(reflector, name) == 2
            talk(*leg, b"of the leg")
            talk(client, agent, b"of the first")
            end(*leg)
        talk(client, agent, b"goes on")
        (record,) = wait_until(lambda: reflector.logged("leg ended", session=name), "the leg's record")
        assert (record["leg"], record["outcome"], record["client_bytes"]) == (2, "completed", 10)
        end(client, agent)
    ended = reflector.ended(name)
    assert (ended["outcome"], ended["legs"], ended["client_bytes"]) == ("completed", 2, 10 + 12 + 7)
    assert [record["leg"] for record in reflector.logged("leg ended", session=name)] == [2, 1]


def test_a_leg_outlives_the_first_pair_and_more_clients_join(reflector: Reflector) -> None:
    with legs.session(reflector) as (name, client, agent), legs.leg(reflector, name, agent) as leg:
        end(client, agent)
        wait_until(lambda: legs.shown(reflector, name) == 1)
        assert legs.refused(reflector, upgrade(f"/attach/{name}/master"))[0] == 409, "the id is taken"
        with legs.leg(reflector, name, leg[1]) as last:
            end(*leg)
            talk(*last, b"still")
            last[0].reset()
            assert last[1].closed() == (1000, "remote connection reset")
        record = reflector.ended(name)
        assert (record["outcome"], record["legs"], record["client_bytes"]) == ("lost", 3, 5)
        with reflector.attach(name, "master"):
            pass


class TestRefusals:
    @pytest.mark.parametrize(
        ("head", "refusal"),
        [
            (legs.join_head, (409, "the session's agent takes one client only: it does not announce `call`")),
            (lambda name: upgrade(f"/attach/{name}/master"), TAKEN),
            (
                lambda name: upgrade(f"/attach/{name}/master", medusa_join="0"),
                (409, "the session has a client already"),
            ),
            (lambda name: legs.join_head(new_id()), (404, "there is no such session")),
            (lambda name: legs.leg_head(name, "0" * 32), (403, "no client waits for this leg")),
            (lambda name: legs.leg_head(new_id(), "0" * 32), (403, "no client waits for this leg")),
            (lambda name: legs.leg_head(name, "\xe9" * 40), (403, "no client waits for this leg")),
        ],
    )
    def test_of_a_session_whose_agent_takes_one_client(
        self, reflector: Reflector, head: Callable[[str], bytes], refusal: tuple[int, str]
    ) -> None:
        name = new_id()
        with reflector.pair(name) as pair:
            assert legs.refused(reflector, head(name)) == refusal
            Witness(*pair).check()

    def test_of_a_session_without_an_agent(self, reflector: Reflector) -> None:
        name = new_id()
        with reflector.attach(name, "master"):
            status, words = legs.refused(reflector, legs.join_head(name))
            assert (status, "waits for its agent" in words) == (409, True)

    def test_a_leg_lets_in_one_agent_of_its_session_once(self, reflector: Reflector, session: Linked) -> None:
        with legs.session(reflector) as other, legs.join(reflector, session.name) as client:
            leg = legs.called(session.agent)
            assert legs.refused(reflector, legs.leg_head(other.name, leg))[0] == 403
            assert legs.refused(reflector, upgrade(f"/attach/{session.name}/slave"))[0] == 409
            with legs.answer(reflector, session.name, leg) as agent:
                client.linked()
                assert legs.refused(reflector, legs.leg_head(session.name, leg))[0] == 403, "it was used"
                agent.close()
            assert client.closed()[1] == "remote connection error"
            assert legs.refused(reflector, legs.leg_head(session.name, leg))[0] == 403

    def test_beyond_the_limit(self, quick: Reflector) -> None:
        """The first pair counts, and so do clients that wait."""
        with legs.session(quick) as (name, _, agent), legs.leg(quick, name, agent) as leg, legs.join(quick, name):
            answer = quick.ask(legs.join_head(name))
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert b"(--max-legs)" in answer.rest
            end(*leg)
            wait_until(lambda: legs.shown(quick, name) == 2)
            legs.join(quick, name).close()


class TestCalls:
    def test_an_agent_that_does_not_answer_is_called_over_another_link(self, quick: Reflector) -> None:
        with legs.session(quick) as (name, _, agent), legs.leg(quick, name, agent) as (_, second):
            with legs.join(quick, name) as client:
                calls = [legs.called(agent), legs.called(second)]
                assert farewell(client) == NO_ANSWER
            assert len(set(calls)) == 1
            assert legs.refused(quick, legs.leg_head(name, calls[0]))[0] == 403
            (record,) = wait_until(lambda: quick.logged("leg ended", session=name), "the record")
            assert (record["leg"], record["outcome"]) == (3, "expired")

    def test_the_call_over_the_second_link_is_as_good(self, quick: Reflector) -> None:
        with legs.session(quick) as (name, _, agent), legs.leg(quick, name, agent) as (_, second):
            client = legs.join(quick, name)
            with client, legs.answer(quick, name, legs.called(second)) as link:
                client.linked()
                link.linked()
                assert legs.called(agent)

    def test_a_session_that_ends_ends_the_wait(self, reflector: Reflector) -> None:
        with legs.session(reflector) as (name, client, agent), legs.join(reflector, name) as late:
            leg = legs.called(agent)
            end(client, agent)
            assert farewell(late) == ENDED
            assert legs.refused(reflector, legs.leg_head(name, leg))[0] == 403
            assert reflector.ended(name)["outcome"] == "completed"

    def test_calls_wait_behind_each_other_where_the_agent_does_not_read(
        self, reflector: Reflector, session: Linked
    ) -> None:
        """Between messages: a call does not cut into what the client sends."""
        data, count = b"x" * 60_000, 400
        sender = Thread(target=session.client.send, args=(frame(BINARY, data) * count,))
        sender.start()
        wait_until(lambda: not session.client.writable())
        clients = [legs.join(reflector, session.name) for _ in range(3)]
        seen = [session.agent.frame().payload for _ in range(count + 3)]
        sender.join()
        assert seen.count(data) == count
        assert len({payload for payload in seen if payload.startswith(b"medusa:")}) == 3
        for client in clients:
            client.close()


class TestOneLegAndTheOthers:
    @pytest.mark.parametrize("who", ["client", "agent"])
    @pytest.mark.parametrize("how", ["reset", "breaks the rules", "floods a peer that does not read"])
    def test_the_others_do_not_notice(self, reflector: Reflector, session: Linked, who: str, how: str) -> None:
        with legs.leg(reflector, session.name, session.agent) as leg:
            witness = Witness(session.client, session.agent)
            bad, good = leg if who == "client" else leg[::-1]
            if how == "reset":
                bad.reset()
                assert good.closed()[1].startswith("remote connection")
            elif how == "breaks the rules":
                bad.send(frame(15))
                assert good.closed() == (1000, "the remote side broke the protocol")
            else:
                witness.bears(bad, frame(BINARY, b"x" * 65536))
            witness.check()

    def test_sixteen(self, reflector: Reflector, session: Linked) -> None:
        with contextlib.ExitStack() as stack:
            pairs = [(session.client, session.agent)]
            for _ in range(15):
                pairs.append(stack.enter_context(legs.leg(reflector, session.name, session.agent)))
            for number, pair in enumerate(pairs):
                talk(*pair, b"%d" % number)
            assert legs.refused(reflector, legs.join_head(session.name))[0] == 503
            assert legs.shown(reflector, session.name) == 16
            for pair in pairs[1:]:
                end(*pair)
        wait_until(lambda: legs.shown(reflector, session.name) == 1)

    def test_ends_at_random(self, reflector: Reflector) -> None:
        """Whatever ends when, every session ends, each leg has one record, and no descriptor stays."""
        rng, before = random.Random(13), reflector.descriptors()
        for _ in range(12):
            with legs.session(reflector) as (name, *first), contextlib.ExitStack() as stack:
                links = [*first]
                for _ in range(rng.randrange(1, 6)):
                    links += self._join_at_random(reflector, name, first[1], stack, rng)
                for link in rng.sample(links, len(links)):
                    rng.choice([Peer.reset, Peer.close, Peer.fin])(link)
            record = reflector.ended(name)
            numbers = [entry["leg"] for entry in reflector.logged("leg ended", session=name)]
            assert sorted(numbers) == [*range(1, record["legs"] + 1)]
        wait_until(lambda: reflector.descriptors() <= before)

    @staticmethod
    def _join_at_random(
        reflector: Reflector, name: str, agent: Peer, stack: contextlib.ExitStack, rng: random.Random
    ) -> list[Peer]:
        client = stack.enter_context(legs.join(reflector, name))
        leg = legs.called(agent)
        if rng.random() < 0.2:
            return [client]
        return [client, stack.enter_context(legs.answer(reflector, name, leg))]


def test_an_administrator_ends_all_pairs(reflector: Reflector, session: Linked) -> None:
    with legs.leg(reflector, session.name, session.agent) as leg, legs.join(reflector, session.name) as late:
        legs.called(session.agent)
        killed = reflector.ask(f"DELETE /sessions/{session.name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert killed.json() == {"killed": True}
        assert {farewell(peer) for peer in (session.client, session.agent, *leg, late)} == {KILLED}
    record = reflector.ended(session.name)
    assert (record["outcome"], record["legs"]) == ("killed", 3)


def test_signed_clients(tmp_path: Path) -> None:
    """The account and its users may join, others are told nothing; joining does not use up the tries of a session."""
    keys = {"alice": Key("ed25519"), "alice/ci": Key("ed25519"), "bob": Key("ed25519")}
    allow(tmp_path, "alice", keys["alice"])
    allow(tmp_path, "alice", keys["alice/ci"], user="ci")
    allow(tmp_path, "bob", keys["bob"])
    expires = itertools.count(int(time.time()) + 60)

    def signed(owner: str, session: str, role: str, **headers: str) -> bytes:
        path = attach_path("alice", session, role)
        return upgrade(signed_target(keys[owner], owner, path, HOST, next(expires)), host=HOST, **headers)

    def leg(session: str, leg: str) -> bytes:
        return upgrade(attach_path("alice", session, "slave"), host=HOST, medusa_leg=leg)

    name, options = new_id(), ("--accounts", str(tmp_path), "--max-connects-per-minute", "60")
    with running(*options) as reflector, contextlib.ExitStack() as stack:
        client = stack.enter_context(reflector.enter(signed("alice", name, "master")))
        agent = stack.enter_context(reflector.enter(signed("alice", name, "slave", medusa_features="call")))
        client.linked()
        agent.linked()
        for owner in ["alice", "alice/ci"] * 8:
            joining = signed(owner, name, "master", medusa_join="1")
            with reflector.enter(joining) as joined, reflector.enter(leg(name, legs.called(agent))) as link:
                joined.linked()
                link.linked()
                end(joined, link)
        assert legs.refused(reflector, leg(name, "0" * 32))[0] == 403
        stranger = legs.refused(reflector, signed("bob", name, "master", medusa_join="1"))
        assert stranger[0] == 404
        assert legs.refused(reflector, signed("alice", new_id(), "master", medusa_join="1")) == stranger

"""Clients that join a session of another reflector: they are forwarded to its owner, and so is the agent's answer."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tests import legs, sites
from tests.frames import raw_frame
from tests.integration.test_reflector_legs import end, talk
from tests.links import CERTIFICATE
from tests.peers import BINARY, LINKUP, TEXT, Peer, frame, upgrade
from tests.rawpeers import FramedPeer, connect
from tests.reflectors import Reflector, new_id
from tests.signing import Key, allow, attach_path, signed_request, signed_target
from tests.sites import Site
from tests.waiting import PATIENCE, wait_until

HOST = "medusa.example"
MAX_LEGS = 4


@pytest.fixture(scope="module")
def both(site: Site, tmp_path_factory: pytest.TempPathFactory, key: Key) -> Iterator[tuple[Reflector, Reflector]]:
    accounts = tmp_path_factory.mktemp("accounts")
    allow(accounts, "alice", key)
    options = ["--accounts", str(accounts), "--public-host", f"{HOST},127.0.0.1:21081", "--max-legs", str(MAX_LEGS)]
    with site.reflector(*options) as here, site.reflector(*options) as there:
        yield here, there


@contextlib.contextmanager
def session(here: Reflector, there: Reflector) -> Iterator[tuple[str, Peer, Peer]]:
    """A session of `here` whose agent takes calls, and has come to `there`: its id, its client and its agent."""
    name = new_id()
    with here.attach(name, "master") as client:
        sites.waits(here, name)
        with there.enter(upgrade(f"/attach/{name}/slave", medusa_features="call")) as agent:
            sites.linked(client, agent)
            yield name, client, agent


@contextlib.contextmanager
def leg(door: Reflector, session: str, agent: Peer, kind: str = "websocket") -> Iterator[tuple[Peer, Peer]]:
    """A client that has joined at `door`, and the agent that has answered there: linked, and of this kind."""
    client = enter(door, session, "master", "join", "1", kind)
    with client, enter(door, session, "slave", "leg", legs.called(agent), kind) as answer:
        client.linked()
        answer.expect(TEXT, LINKUP)
        yield client, answer


def enter(door: Reflector, session: str, role: str, word: str, value: str, kind: str) -> Peer:
    if kind == "websocket":
        return door.enter(upgrade(f"/attach/{session}/{role}", **{"medusa_" + word: value}))
    peer = FramedPeer(connect(door, f"MEDUSA/1 /attach/{session}/{role} here {word}={value}\n".encode()).sock)
    assert peer.line() == b"OK"
    return peer


def test_a_client_that_joins_comes_to_the_owner(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    with session(here, there) as (name, client, agent):
        with leg(there, name, agent) as first, leg(here, name, agent) as second:
            assert {row["legs"] for row in (row_of(door, name) for door in both)} == {3}
            for at, pair in enumerate((first, second, (client, agent))):
                talk(*pair, b"pair %d" % at)
            end(*first)
            talk(*second, b"goes on")
            address = "%s:%d" % first[0].sock.getsockname()[:2]
            (record,) = wait_until(lambda: here.logged("leg ended", session=name), "the leg's record")
            assert (record["leg"], record["client"], record["outcome"]) == (2, address, "completed")
            assert there.logged("carried", session=name, client=address, side="client")
            end(*second)
        talk(client, agent, b"alone")
        end(client, agent)
    assert here.ended(name)["legs"] == 3
    assert not there.logged("session ended", session=name)


def row_of(door: Reflector, session: str) -> dict[str, object]:
    row: dict[str, object] = door.get(f"/sessions/{session}").json()
    return row


def test_refusals_come_back_with_status_and_words(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    name = new_id()
    assert [legs.refused(door, legs.join_head(name))[0] for door in both] == [404, 404]
    with sites.pair(here, there, name):
        refusals = [legs.refused(door, legs.join_head(name)) for door in both]
        assert refusals[0] == refusals[1]
        assert refusals[0][0] == 409
        wrong = [legs.refused(door, legs.leg_head(name, "ab" * 16)) for door in both]
        assert wrong == [(403, "no client waits for this leg")] * 2
        assert legs.refused(there, upgrade(f"/attach/{name}/master"))[0] == 409, "it does not join"


def test_a_session_full_of_clients(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    with contextlib.ExitStack() as stack:
        name, _, agent = stack.enter_context(session(here, there))
        for _ in range(MAX_LEGS - 1):
            stack.enter_context(leg(there, name, agent))
        refusals = [legs.refused(door, legs.join_head(name)) for door in both]
        assert refusals[0] == refusals[1]
        assert refusals[0][0] == 503


def test_workers_tls_and_raw_tcp(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sessions live in any worker of the one, and each connection is accepted by any worker of both."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = ["--workers", "2", "--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)]
    options += ["--advertise", "localhost", "--raw-port", "0"]
    with site.reflector(*options) as here, site.reflector(*options) as there:
        for _ in range(3):
            with session(here, there) as (name, client, agent):
                for door, kind in ((here, "websocket"), (there, "websocket"), (there, "framed")):
                    with leg(door, name, agent, kind) as (joined, answer):
                        data = os.urandom(100_000)
                        sent = frame(BINARY, data) if kind == "websocket" else raw_frame(BINARY, data)
                        assert joined.through(sent, answer) == (BINARY, data, True)
                talk(client, agent, b"untouched")
        assert len(there.logged("carried", side="client")) == 6


def test_the_loss_of_a_leg_leaves_the_others(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    with session(here, there) as (name, client, agent), leg(there, name, agent) as (joined, answer):
        joined.reset()
        assert answer.closed()[0] == 1000
        talk(client, agent, b"lives")


def test_a_drain_is_told_to_the_users_that_are_forwarded_and_an_owner_can_be_away(
    site: Site, both: tuple[Reflector, Reflector]
) -> None:
    with (
        site.reflector(check=False) as here,
        site.reflector("--drain-timeout", str(PATIENCE), check=False) as there,
        session(here, here) as first,
    ):
        name, client, agent = first
        joining = upgrade(f"/attach/{name}/master", medusa_join="1", medusa_features="notice")
        with there.enter(joining) as joined, here.enter(legs.leg_head(name, legs.called(agent))) as answer:
            sites.linked(joined, answer)
            there.signal(signal.SIGTERM)
            assert b"on the way to the job is shutting down" in joined.word().payload
            end(joined, answer)
        assert there.process.wait(PATIENCE) == 0
        talk(client, agent, b"untouched")
        sites.kill(here)
        answered = both[1].ask(legs.join_head(name))
        assert (answered.status, answered.headers["retry-after"]) == (503, "5")


def test_a_client_signs_and_an_agent_shows_its_leg(both: tuple[Reflector, Reflector], key: Key) -> None:
    here, there = both
    name = new_id()
    path, target = attach_path("alice", name, "master"), attach_path("alice", name, "slave")

    agent_request = upgrade(signed_target(key, "alice", target, HOST), host=HOST, medusa_features="call")
    with here.enter(signed_request(key, "alice", path, HOST)) as client:
        sites.waits(here, name)
        with there.enter(agent_request) as agent:
            sites.linked(client, agent)
            assert there.ask(upgrade(path, host=HOST, medusa_join="1")).status == 401
            join = upgrade(signed_target(key, "alice", path, HOST, nonce="1"), host=HOST, medusa_join="1")
            with there.enter(join) as joined:
                assert there.ask(join).status == 403, "a signature is good for one use"
                called = legs.called(agent)
                wrong = upgrade(target, host=HOST, medusa_leg=called[::-1])
                assert [door.ask(wrong).status for door in both] == [403, 403]
                right = upgrade(target, host=HOST, medusa_leg=called)
                with there.enter(right) as answer:
                    joined.linked()
                    answer.expect(TEXT, LINKUP)
                    assert [door.ask(right).status for door in both] == [403, 403]
                    talk(joined, answer, b"signed")

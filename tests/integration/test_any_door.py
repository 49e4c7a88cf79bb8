"""A connection is carried to the reflector that its session lives in, and nobody can tell."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from medusa.reflector import site as sites_proof
from tests import sites
from tests.links import CERTIFICATE
from tests.peers import BINARY, CLOSE, TEXT, Peer, close_frame, frame, upgrade
from tests.reflectors import Reflector, new_id
from tests.sites import Site
from tests.waiting import PATIENCE, wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def doors(site: Site) -> Iterator[tuple[Reflector, Reflector]]:
    with site.reflector() as here, site.reflector() as there:
        yield here, there


def address(peer: Peer) -> str:
    return "%s:%d" % peer.sock.getsockname()[:2]


class TestCarried:
    def test_a_session_through_two_doors(self, doors: tuple[Reflector, Reflector]) -> None:
        here, there = doors
        session = new_id()
        with sites.pair(here, there, session) as (client, agent):
            client.text("to the agent")
            agent.expect(TEXT, b"to the agent")
            agent.binary(b"to the client")
            client.expect(BINARY, b"to the client")
            agent_address = address(agent)
            client.send(close_frame(1000, "bye"))
            assert agent.closed() == (1000, "bye")
            assert client.frame().opcode == CLOSE
        record = here.ended(session)
        assert (record["outcome"], record["agent"]) == ("completed", agent_address)
        assert there.logged("carried", client=agent_address)
        assert not there.logged("session ended", session=session)

    def test_what_is_sent_behind_the_head_is_not_lost(self, doors: tuple[Reflector, Reflector]) -> None:
        here, there = doors
        session = new_id()
        with here.attach(session, "master") as client:
            sites.waits(here, session)
            with there.attach(session, "slave", behind=frame(TEXT, b"early")) as agent:
                sites.linked(client, agent)
                client.expect(TEXT, b"early")

    def test_refusals_come_back_as_they_are(self, doors: tuple[Reflector, Reflector]) -> None:
        here, there = doors
        session = new_id()
        unknown = [door.ask(upgrade(f"/attach/{session}/slave")) for door in doors]
        assert [answer.status for answer in unknown] == [404, 404]
        with sites.pair(here, there, session):
            taken = [door.ask(upgrade(f"/attach/{session}/{side}")) for door in doors for side in ("slave", "master")]
            assert [answer.status for answer in taken] == [409] * 4
            assert taken[0].raw == taken[2].raw
            assert taken[1].raw == taken[3].raw

    def test_bulk_both_ways_and_readers_that_stop(self, doors: tuple[Reflector, Reflector]) -> None:
        here, there = doors
        with sites.pair(here, there) as (client, agent), there.memory_grows_less_than(8 * MIB):
            ways = [(client, agent, os.urandom(8 * MIB)), (agent, client, os.urandom(8 * MIB))]
            senders = [Thread(target=send, args=(source, data)) for source, _, data in ways]
            for sender in senders:
                sender.start()
            wait_until(lambda: not client.writable() and not agent.writable(), "buffers that are full")
            for _, sink, data in ways:
                assert read(sink, len(data)) == hashlib.sha256(data).digest()
            for sender in senders:
                sender.join()

    def test_the_owners_keepalive_reaches_the_agent(self, site: Site) -> None:
        with site.reflector("--keepalive", "0.2") as here, site.reflector() as there:
            session = new_id()
            with sites.pair(here, there, session) as (client, agent), client.breathing():
                assert agent.frame().opcode == 9
                agent.until_fin()
                assert client.closed() == (1000, "remote connection error")
            assert here.ended(session)["reason"] == "agent: silent for 0.6 s"


def send(peer: Peer, data: bytes) -> None:
    for at in range(0, len(data), 60_000):
        peer.binary(data[at : at + 60_000])


def read(peer: Peer, size: int) -> bytes:
    digest = hashlib.sha256()
    while size:
        payload = peer.frame().payload
        digest.update(payload)
        size -= len(payload)
    return digest.digest()


class TestEnds:
    @pytest.mark.parametrize("end", ["fin", "reset"])
    def test_of_the_agents_link(self, doors: tuple[Reflector, Reflector], end: str) -> None:
        here, there = doors
        session = new_id()
        with sites.pair(here, there, session) as (client, agent):
            agent.text("last words")
            client.expect(TEXT, b"last words")
            agent.fin() if end == "fin" else agent.reset()
            assert client.closed() == (1000, "remote connection error")
        assert here.ended(session)["outcome"] == "lost"

    def test_the_door_is_killed(self, site: Site) -> None:
        with site.reflector() as here, site.reflector(check=False) as there:
            session = new_id()
            with sites.pair(here, there, session) as (client, agent):
                sites.kill(there)
                assert client.closed() == (1000, "remote connection error")
                agent.until_fin()
            assert here.ended(session)["outcome"] == "lost"

    def test_the_owner_is_killed(self, site: Site) -> None:
        with site.reflector(check=False) as here, site.reflector() as there:
            there.get("/healthz")
            before = there.descriptors()
            with sites.pair(here, there) as (client, agent):
                assert there.descriptors() > before
                sites.kill(here)
                agent.until_fin()
                client.until_fin()
            wait_until(lambda: there.descriptors() <= before, "a door that has let go")

    def test_a_door_that_drains_waits_for_what_it_carries(self, site: Site) -> None:
        with site.reflector() as here, site.reflector("--drain-timeout", str(PATIENCE)) as there:
            with sites.pair(here, there) as (client, agent):
                there.signal(signal.SIGTERM)
                wait_until(lambda: there.logged("draining", carried=1))
                client.text("still")
                agent.expect(TEXT, b"still")
                assert there.process.poll() is None
                client.send(close_frame())
                agent.closed()
            assert there.process.wait(PATIENCE) == 0

    def test_a_door_that_has_drained_for_long_enough_goes(self, site: Site) -> None:
        with site.reflector() as here, site.reflector() as there, sites.pair(here, there) as (client, agent):
            there.signal(signal.SIGTERM)
            agent.until_fin()
            assert client.closed() == (1000, "remote connection error")
            assert there.process.wait(PATIENCE) == 0


class TestTls:
    @pytest.mark.parametrize("tls", [(True, True), (True, False), (False, True)], ids=str)
    def test_between_doors_and_to_peers(
        self, site: Site, tls: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--advertise", "localhost"]
        doors = site.reflector(*options * tls[0]), site.reflector(*options * tls[1])
        with doors[0] as here, doors[1] as there, sites.pair(here, there) as (client, agent):
            data = os.urandom(MIB)
            sender = Thread(target=send, args=(agent, data))
            sender.start()
            assert read(client, len(data)) == hashlib.sha256(data).digest()
            sender.join()
            client.send(close_frame(1000, "bye"))
            assert agent.frame().close == (1000, "bye")

    def test_an_owner_that_is_not_trusted(self, site: Site) -> None:
        """127.0.0.1 is not in the certificate."""
        options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--advertise", "127.0.0.2"]
        session = new_id()
        with site.reflector(*options) as here, site.reflector() as there, here.attach(session, "master"):
            wait_until(lambda: site.claimed(session))
            answer = there.ask(upgrade(f"/attach/{session}/slave"))
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert there.logged("reflector not reached")


class TestProof:
    """What a stranger sends to a reflector as if he were one."""

    @staticmethod
    def carry(session: str, secret: str = sites.SECRET, when: float = 0, **changed: str) -> bytes:
        head = upgrade(f"/attach/{session}/slave")
        site = sites_proof.Site(secret.encode(), lambda: time.time() + when)
        proof = site.sign(head.removesuffix(b"\r\n\r\n"), sites_proof.Passenger("", ("192.0.2.1", 5)))
        return f"GET /carried HTTP/1.1\r\nHost: x\r\nMedusa-Carried: {proof}\r\n\r\n".encode() + head

    def test_is_good_once(self, doors: tuple[Reflector, Reflector]) -> None:
        here, _ = doors
        session = new_id()
        request = self.carry(session)
        with here.attach(session, "master") as client:
            sites.waits(here, session)
            with here.enter(request) as agent:
                sites.linked(client, agent)
            client.closed()
        assert here.ended(session)["agent"] == "192.0.2.1:5"
        again = new_id()
        with here.attach(again, "master"):
            assert here.ask(request).status == 404
        assert here.logged("carried request refused", reason="used before")

    @pytest.mark.parametrize(
        ("forge", "why"),
        [
            (lambda session: TestProof.carry(session, "another secret of no site"), "made without this site's secret"),
            (lambda session: TestProof.carry("other").replace(b"/other/", f"/{session}/".encode()), "made without"),
            (lambda session: TestProof.carry(session, when=300), "+300 s off"),
            (lambda session: TestProof.carry(session).replace(b"192.0.2.1", b"192.0.2.2"), "made without"),
            (lambda session: TestProof.carry(session).replace(b"Carried: 1", b"Carried: 2"), "not of the form"),
        ],
    )
    def test_forged(self, doors: tuple[Reflector, Reflector], forge: object, why: str) -> None:
        here, _ = doors
        session = new_id()
        before = len(here.logged("carried request refused"))
        with here.attach(session, "master"):
            sites.waits(here, session)
            answer = here.ask(forge(session))  # type: ignore[operator]
            assert (answer.status, answer.rest) == (404, b"there is nothing at this path\n")
        (entry,) = here.logged("carried request refused")[before:]
        assert why in entry["reason"] or entry["reason"].startswith(why.replace("300", "299"))

    def test_is_not_carried_on(self, doors: tuple[Reflector, Reflector]) -> None:
        here, there = doors
        session = new_id()
        with here.attach(session, "master"):
            sites.waits(here, session)
            assert there.ask(self.carry(session)).status == 404
            assert here.states()[session] == "slave_wait"

    def test_no_client_is_carried(self, doors: tuple[Reflector, Reflector]) -> None:
        here, _ = doors
        head = upgrade(f"/attach/{new_id()}/master")
        proof = sites_proof.Site(sites.SECRET.encode()).sign(
            head.removesuffix(b"\r\n\r\n"), sites_proof.Passenger("", ("192.0.2.1", 5))
        )
        request = f"GET /carried HTTP/1.1\r\nHost: x\r\nMedusa-Carried: {proof}\r\n\r\n".encode() + head
        assert here.ask(request).status == 404

    def test_nothing_is_carried(self, doors: tuple[Reflector, Reflector]) -> None:
        here, _ = doors
        with here.open(b"GET /carried HTTP/1.1\r\nHost: x\r\nMedusa-Carried: 1\r\n\r\n") as peer:
            peer.fin()
            assert peer.answer().status == 400
        assert here.get("/carried").status == 404

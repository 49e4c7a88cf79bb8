"""An agent is forwarded to the reflector that its session lives in, and neither end sees a difference."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from threading import Thread

import pytest

from medusa.reflector.cluster import peer_auth
from tests import sites
from tests.links import CERTIFICATE
from tests.peers import BINARY, CLOSE, LINKUP, TEXT, Peer, close_frame, frame, upgrade
from tests.reflectors import Reflector, new_id
from tests.sites import Site
from tests.waiting import PATIENCE, wait_until

MIB = 1 << 20


def address(peer: Peer) -> str:
    return "%s:%d" % peer.sock.getsockname()[:2]


class TestForwarded:
    def test_a_session_through_two_reflectors(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
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

    def test_bytes_after_the_head_are_not_lost(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
        session = new_id()
        with here.attach(session, "master") as client:
            sites.waits(here, session)
            with there.attach(session, "slave", behind=frame(TEXT, b"early")) as agent:
                sites.linked(client, agent)
                client.expect(TEXT, b"early")

    def test_refusals_come_back_unchanged(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
        session = new_id()
        unknown = [door.ask(upgrade(f"/attach/{session}/slave")) for door in both]
        assert [answer.status for answer in unknown] == [404, 404]
        with sites.pair(here, there, session):
            taken = [door.ask(upgrade(f"/attach/{session}/{side}")) for door in both for side in ("slave", "master")]
            assert [answer.status for answer in taken] == [409] * 4
            assert taken[0].undated == taken[2].undated
            assert taken[1].undated == taken[3].undated

    def test_bulk_both_ways_and_readers_that_stop(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
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
    def test_of_the_agents_link(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
        session = new_id()
        with sites.pair(here, there, session) as (client, agent):
            agent.text("last words")
            client.expect(TEXT, b"last words")
            agent.reset()
            assert client.closed() == (1000, "remote connection error")
        assert here.ended(session)["outcome"] == "lost"

    def test_a_drain_waits_for_forwarded_connections(self, site: Site) -> None:
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

    def test_the_drain_timeout_ends_forwarded_connections(self, site: Site) -> None:
        with site.reflector() as here, site.reflector() as there, sites.pair(here, there) as (client, agent):
            there.signal(signal.SIGTERM)
            agent.until_fin()
            assert client.closed() == (1000, "remote connection error")
            assert there.process.wait(PATIENCE) == 0


class TestTls:
    def test_between_reflectors_and_to_peers(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--advertise", "localhost"]
        owner, other = site.reflector(*options), site.reflector(*options)
        with owner as here, other as there, sites.pair(here, there) as (client, agent):
            data = os.urandom(MIB)
            assert agent.through(frame(BINARY, data), client) == (BINARY, data, True)
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


def forwarding(session: str, owner: Reflector) -> bytes:
    """What a reflector of the site sends to `owner` to forward an agent."""
    head, target = upgrade(f"/attach/{session}/slave"), f"/~carried/attach/{session}/slave"
    site = peer_auth.PeerAuth(sites.SECRET.encode())
    origin = peer_auth.Origin("http", "192.0.2.1", 5)
    proof = site.sign_forward(target, head.removesuffix(b"\r\n\r\n"), origin, owner.url, None)
    return f"GET {target} HTTP/1.1\r\nHost: x\r\nMedusa-Carried: {proof}\r\n\r\n".encode() + head


class TestProof:
    """Requests of a stranger that pretends to be a reflector; tests/unit has all ways to forge a proof."""

    def test_is_good_once(self, both: tuple[Reflector, Reflector]) -> None:
        here, _ = both
        session = new_id()
        request = forwarding(session, here)
        with here.attach(session, "master") as client:
            sites.waits(here, session)
            with here.enter(request) as agent:
                sites.linked(client, agent)
            client.closed()
        assert here.ended(session)["agent"] == "192.0.2.1:5"
        with here.attach(session, "master"):
            sites.waits(here, session)
            assert here.ask(request).status == 404
            assert here.states()[session] == "slave_wait"
        assert here.logged("carried request refused", reason="used before")

    def test_is_worth_nothing_at_another_reflector(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
        session = new_id()
        with here.attach(session, "master"):
            sites.waits(here, session)
            assert here.ask(forwarding(session, there)).status == 404
            assert here.states()[session] == "slave_wait"

    def test_is_not_forwarded_again(self, both: tuple[Reflector, Reflector]) -> None:
        here, there = both
        session = new_id()
        with here.attach(session, "master"):
            sites.waits(here, session)
            assert there.ask(forwarding(session, there)).status == 404
            assert here.states()[session] == "slave_wait"


def test_raw_tcp_is_forwarded_as_well(site: Site) -> None:
    """Also to an owner without a raw port."""
    with site.reflector() as here, site.reflector("--raw-port", "0") as there:
        sessions = [new_id() for _ in range(2)]
        greetings = [f"MEDUSA/1 /attach/{sessions[0]}/slave x\n", f"ATTACH {sessions[1]} agent\nearly"]
        for session, greeting in zip(sessions, greetings, strict=True):
            assert raw(there, greeting.partition("\n")[0] + "\n").startswith(b"ERR 404 ")
            with here.attach(session, "master") as client:
                sites.waits(here, session)
                with socket.create_connection(("127.0.0.1", there.raw_port), timeout=PATIENCE) as agent:
                    agent.sendall(greeting.encode())
                    while client.frame() != (TEXT, LINKUP, True):
                        pass
                    if greeting.startswith("ATTACH"):
                        client.expect(BINARY, b"early")
                    assert agent.recv(100).startswith(b"OK")
                    assert raw(there, greeting).startswith(b"ERR 409 ")
            assert here.ended(session)["agent"].startswith("127.0.0.1:")


def raw(reflector: Reflector, greeting: str) -> bytes:
    """The whole answer of the raw port."""
    with socket.create_connection(("127.0.0.1", reflector.raw_port), timeout=PATIENCE) as sock:
        sock.sendall(greeting.encode())
        return b"".join(iter(lambda: sock.recv(1000), b""))


@pytest.mark.parametrize("tls", [False, True])
def test_an_owner_of_several_workers(site: Site, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session lives in one of them, and a forwarded agent may arrive at any."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--advertise", "localhost"] * tls
    with site.reflector("--workers", "2", *options) as here, site.reflector("--workers", "2") as there:
        for _ in range(6):
            with sites.pair(here, there) as (client, agent):
                client.text("to the agent")
                agent.expect(TEXT, b"to the agent")
        assert len(there.logged("carried")) == 6


@pytest.mark.parametrize("trusting", [False, True])
def test_the_address_of_a_forwarded_client(site: Site, trusting: bool) -> None:
    """The record has the client's own address, and only the reflector that forwards counts its connections."""
    proxied = ["--trusted-proxy", "127.0.0.1", "--trusted-network"]
    other, owner = [*proxied, "--max-connects-per-minute", "2"], ["--max-connects-per-minute", "1", *proxied * trusting]
    with site.reflector(*owner) as here, site.reflector(*other) as there:
        for left in (True, True, False):
            session = new_id()
            request = upgrade(f"/attach/{session}/slave", x_forwarded_for="203.0.113.9")
            with here.attach(session, "master") as client:
                sites.waits(here, session)
                if not left:
                    assert there.ask(request).status == 429
                    continue
                with there.enter(request) as agent:
                    sites.linked(client, agent)
            assert here.ended(session)["agent"].startswith("203.0.113.9:")

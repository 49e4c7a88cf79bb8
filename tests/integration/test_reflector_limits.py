"""What is refused when too much comes, whose address is counted, and how long a session may be idle, stall or last."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.links import CERTIFICATE, client_context
from tests.peers import BINARY, PONG, TEXT, Peer, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_request, signed_target
from tests.sites import dial
from tests.waiting import PATIENCE, wait_until
from tests.witnesses import Witness

HOST = "medusa.example"
PROXY = "127.0.0.2"


def raw_answer(port: int, greeting: bytes) -> bytes:
    """All that the raw port answers."""
    with Peer(dial(port)) as peer:
        peer.send(greeting)
        return peer.until_fin()


def by_proxy(session: str, role: str, client: str) -> bytes:
    return upgrade(f"/attach/{session}/{role}", x_forwarded_for=client)


class TestCaps:
    def test_of_all_sessions(self) -> None:
        with running("--max-sessions", "1") as reflector, reflector.pair() as (client, agent):
            answer = reflector.ask(upgrade(f"/attach/{new_id()}/master"))
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert b"--max-sessions" in answer.rest
            assert reflector.refusal(0)["status"] == 503
            Witness(client, agent).check()

    def test_of_a_login(self, tmp_path: Path) -> None:
        """One account cannot take all, and a stranger is not told whether it has."""
        key, stranger = Key("ed25519"), Key("ed25519")
        allow(tmp_path, "alice", key)
        allow(tmp_path, "bob", key)
        with running("--accounts", str(tmp_path), "--max-sessions", "4") as reflector, contextlib.ExitStack() as stack:

            def master(login: str, key: Key = key) -> bytes:
                return signed_request(key, login, attach_path(login, new_id(), "master"), HOST)

            before = reflector.ask(master("alice", stranger)).undated
            for _ in range(2):
                stack.enter_context(reflector.enter(master("alice")))
            for _ in range(5):
                answer = reflector.ask(master("alice"))
                assert (answer.status, answer.headers["retry-after"]) == (429, "10")
                assert b"(--max-sessions-per-login)" in answer.rest
            assert reflector.ask(master("alice", stranger)).undated == before
            for login in ("bob", "bob"):
                stack.enter_context(reflector.enter(master(login)))

    def test_of_a_login_that_waits(self, tmp_path: Path) -> None:
        key = Key("ed25519")
        allow(tmp_path, "alice", key)
        allow(tmp_path, "bob", key)
        with running("--accounts", str(tmp_path), "--max-waiting-per-login", "1") as reflector:

            def master(login: str) -> bytes:
                return signed_request(key, login, attach_path(login, new_id(), "master"), HOST)

            with reflector.enter(master("alice")):
                answer = reflector.ask(master("alice"))
                assert (answer.status, answer.headers["retry-after"]) == (429, "10")
                with reflector.enter(master("bob")):
                    pass
            wait_until(lambda: not reflector.states())
            with reflector.enter(master("alice")):
                pass

    def test_of_an_address_that_waits(self) -> None:
        options = ["--trusted-network", "--trusted-proxy", PROXY, "--max-waiting-per-address", "1"]
        with running(*options) as reflector:
            session, here, there = new_id(), "203.0.113.9", "198.51.100.1"
            with reflector.enter(by_proxy(session, "master", here), PROXY):
                assert reflector.ask(by_proxy(new_id(), "master", here), PROXY).status == 429
                with reflector.enter(by_proxy(new_id(), "master", there), PROXY):
                    pass
                wait_until(lambda: reflector.states() == {session: "slave_wait"})
                with reflector.enter(by_proxy(session, "slave", there), PROXY):
                    wait_until(lambda: reflector.states() == {session: "forwarding"})
                    with reflector.enter(by_proxy(new_id(), "master", here), PROXY):
                        pass  # a client that is linked waits no more
            record = reflector.ended(session)
            assert (record["client"], record["agent"]) == (here, there)

    def test_of_connects(self, tmp_path: Path) -> None:
        options = ["--trusted-network", "--trusted-proxy", PROXY, "--max-connects-per-minute", "2"]
        with running(*options, timeouts={"refusal_log_rate": 1}) as reflector:
            found = [reflector.ask(by_proxy("x", "slave", "203.0.113.9"), PROXY) for _ in range(5)]
            assert [answer.status for answer in found] == [404, 404, 429, 429, 429]
            assert 0 < int(found[-1].headers["retry-after"]) <= 30
            assert reflector.ask(by_proxy("x", "slave", "198.51.100.1"), PROXY).status == 404
            assert [reflector.get("/attach/x/slave").status for _ in range(4)] == [400] * 4, "this host is not counted"
            assert len(reflector.logged("request refused", status=429)) == 1, "a flood leaves few lines"

    @pytest.mark.parametrize("raw", [False, True])
    def test_the_url_of_one_job_does_not_lock_its_account_out(self, tmp_path: Path, raw: bool) -> None:
        """Its holder tries again and again; clients of the account, and agents of its other jobs, still come in."""
        key, job, other = Key("ed25519"), new_id(), new_id()
        allow(tmp_path, "alice", key)
        options = ["--accounts", str(tmp_path), "--max-connects-per-minute", "20", "--raw-port", "0"]
        urls = {name: signed_target(key, "alice", attach_path("alice", name, "slave"), HOST) for name in (job, other)}
        with running(*options, timeouts={"refusal_delay": 0.0}) as reflector:

            def status(session: str) -> int:
                if not raw:
                    return reflector.ask(upgrade(urls[session], host=HOST)).status
                greeting = f"ATTACH {session} agent http://{HOST}{urls[session]}\n".encode()
                return int(raw_answer(reflector.raw_port, greeting).split()[1])

            assert [status(job) for _ in range(12)] == [404] * 10 + [429] * 2
            assert status(other) == 404
            with reflector.enter(signed_request(key, "alice", attach_path("alice", job, "master"), HOST)):
                pass

    def test_a_login_is_counted_once_it_is_proven(self, tmp_path: Path) -> None:
        key, stranger = Key("ed25519"), Key("ed25519")
        allow(tmp_path, "alice", key)
        with running("--accounts", str(tmp_path), "--max-connects-per-minute", "1") as reflector:
            path = attach_path("alice", new_id(), "master")
            for _ in range(3):
                assert reflector.ask(signed_request(stranger, "alice", path, HOST)).status == 404
            with reflector.enter(signed_request(key, "alice", path, HOST)):
                again = attach_path("alice", new_id(), "master")
                assert reflector.ask(signed_request(key, "alice", again, HOST)).status == 429


def proxied(client: str, request: bytes) -> bytes:
    return f"PROXY TCP4 {client} 192.0.2.1 40000 443\r\n".encode() + request


@pytest.fixture(scope="module")
def reflector() -> Iterator[Reflector]:
    with running("--trusted-proxy", PROXY, "--proxy-protocol", "--trusted-network") as reflector:
        yield reflector


class TestProxyProtocol:
    def test_the_usage_record_has_the_clients_address_however_the_header_is_cut(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.open(b"", PROXY) as peer:
            for byte in proxied("203.0.113.9", b""):
                peer.send(bytes([byte]))
            peer.send(upgrade(f"/attach/{session}/master"))
            assert peer.head().status == 101
        assert reflector.ended(session)["client"] == "203.0.113.9:40000"

    def test_a_proxy_may_not_leave_it_out(self, reflector: Reflector) -> None:
        assert reflector.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", PROXY).status == 400
        with reflector.open(b"PROXY TCP4", PROXY) as peer:
            peer.fin()
            assert peer.answer().status == 400

    def test_ahead_of_tls(self) -> None:
        options = ["--trusted-proxy", PROXY, "--proxy-protocol", "--trusted-network"]
        options += ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)]
        with running(*options) as reflector:
            session = new_id()
            sock = reflector.dial(PROXY)
            sock.sendall(proxied("203.0.113.9", b""))
            with Peer(client_context().wrap_socket(sock, server_hostname="localhost")) as peer:
                peer.send(upgrade(f"/attach/{session}/master"))
                assert peer.head().status == 101
            assert reflector.ended(session)["client"] == "203.0.113.9:40000"

    def test_from_nobody_else(self, reflector: Reflector) -> None:
        assert reflector.ask(proxied("203.0.113.9", upgrade("/attach/x/slave"))).status == 400
        assert reflector.get("/healthz").status == 200

    def test_a_client_of_a_proxy_is_not_this_host(self) -> None:
        with running("--trusted-proxy", PROXY, "--proxy-protocol") as reflector:
            request = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"
            for header in (b"PROXY UNKNOWN\r\n", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"):
                assert reflector.ask(header + request, PROXY).status == 403
            local = bytes.fromhex("0d0a0d0a000d0a515549540a20000000")
            assert reflector.ask(local + request, PROXY).status == 200

    def test_under_the_heads_deadline(self) -> None:
        options = ["--trusted-proxy", PROXY, "--proxy-protocol"]
        with running(*options, timeouts={"head_timeout": 0.2}) as reflector:
            assert reflector.ask(b"PROXY TCP4 ", PROXY).status == 408


def test_a_peer_that_takes_nothing_is_lost() -> None:
    session = new_id()
    with running("--write-stall", "2") as reflector, reflector.pair(session) as (client, agent):
        with client.breathing():
            data = frame(BINARY, bytes(1 << 16))
            while agent.writable():
                agent.send(data)
            assert agent.closed() == (1000, "remote connection reset")
        record = reflector.ended(session)
        assert (record["outcome"], record["reason"]) == ("lost", "client: took nothing of what was sent to it for 2 s")


def test_a_session_in_which_no_terminal_byte_passes() -> None:
    session, reason = new_id(), "the session was idle for too long"
    notice = rb"nothing has passed for [0-9]+ s; unless something does, the session ends in [0-9]+ s"
    with running("--idle-timeout", "2") as reflector, reflector.pair(session) as (client, agent):
        assert re.fullmatch(rb'medusa:\{"type":"notice","text":"%s"\}' % notice, client.word().payload)
        agent.send(frame(PONG) + frame(TEXT, b"ping") + frame(BINARY))
        assert [client.frame(), client.frame()] == [(TEXT, b"ping", True), (BINARY, b"", True)]
        for peer in (client, agent):
            assert peer.closed() == (1000, reason)
        record = reflector.ended(session)
        assert (record["outcome"], record["reason"]) == ("idle", reason)
        assert 1.9 < record["linked_s"] < PATIENCE

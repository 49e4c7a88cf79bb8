"""Operators see several workers as one reflector: one list of sessions, one set of numbers, one check of the peer."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.peers import BINARY, Answer, Peer, close_frame, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, authorization, date
from tests.waiting import PATIENCE, wait_until
from tests.workers import homes, pairs_everywhere

PROXY = "127.0.0.2"


REFLECTOR_OPTIONS = ("--workers", "3")


def listed(reflector: Reflector) -> dict[str, str]:
    answer = reflector.get("/sessions")
    return {entry["id"]: entry["state"] for entry in json.loads(answer.rest)["sessions"]}


def metrics(reflector: Reflector) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(reflector.get("/metrics").rest.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_one_list_and_one_set_of_numbers(reflector: Reflector) -> None:
    before = metrics(reflector)
    with pairs_everywhere(reflector) as pairs:
        everyone = [pair for those in pairs.values() for pair in those]
        for client, agent in everyone:
            client.send(frame(BINARY, b"12345"))
            agent.expect(BINARY, b"12345")
        assert listed(reflector) == dict.fromkeys(reflector.states(), "linked")
        found = metrics(reflector)
        assert found["medusa_sessions", "linked"] == len(everyone)
        name = ("medusa_relayed_bytes_total", "client")
        assert found[name] - before[name] == 5 * len(everyone)


def test_the_end_of_a_session_wherever_it_lives(reflector: Reflector) -> None:
    with pairs_everywhere(reflector):
        sessions = list(homes(reflector))
        for session in sessions:
            kill = f"DELETE /sessions/{session} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            assert reflector.ask(kill.encode()).status == 200
        assert reflector.ask(b"DELETE /sessions/nobody HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404
    assert {reflector.ended(session)["outcome"] for session in sessions} == {"killed"}


@contextlib.contextmanager
def entered(port: int, data: bytes) -> Iterator[Peer]:
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(PROXY, 0))
    with Peer(sock) as peer:
        peer.send(data)
        yield peer


def asked(port: int, data: bytes) -> Answer:
    with entered(port, data) as peer:
        return peer.answer()


def test_who_comes_through_a_proxy_is_this_host_at_no_worker() -> None:
    header = "PROXY TCP4 127.0.0.1 127.0.0.1 1 2"
    options = ["--workers", "3", "--raw-port", "0", "--trusted-proxy", PROXY, "--proxy-protocol"]
    with running(*options) as reflector:
        for _ in range(20):  # so that some are handed over
            session = new_id()
            request = header.encode() + b"\r\n" + upgrade(f"/attach/{session}/master")
            assert asked(reflector.port, request).status == 403
            with entered(reflector.raw_port, f"{header}\r\nATTACH {session} client\n".encode()) as peer:
                assert peer.until_fin().startswith(b"ERR 403 ")


def is_at(reflector: Reflector, session: str, state: str) -> bool:
    return reflector.states().get(session) == state


def test_the_true_address_goes_along() -> None:
    options = ["--workers", "3", "--raw-port", "0", "--trusted-proxy", PROXY, "--proxy-protocol", "--trusted-network"]
    with running(*options) as reflector:
        for _ in range(10):
            session = new_id()
            header = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n"
            with entered(reflector.port, header + upgrade(f"/attach/{session}/master")) as client:
                assert client.head().status == 101
                wait_until(partial(is_at, reflector, session, "slave_wait"))
                with entered(reflector.raw_port, header + f"ATTACH {session} agent\n".encode()):
                    wait_until(partial(is_at, reflector, session, "forwarding"))
                client.send(close_frame())
            record = reflector.ended(session)
            assert (record["client"], record["agent"]) == ("203.0.113.9:40000", "203.0.113.9:40000")


def test_an_admins_signature_is_good_once_whichever_worker_gets_it(tmp_path: Path, key: Key) -> None:
    allow(tmp_path, "boss", key)
    target, when = f"/sessions/boss/{new_id()}", date()
    signature = authorization(key, "boss", target, "h", when, method="delete")
    request = f"DELETE {target} HTTP/1.1\r\nHost: h\r\nDate: {when}\r\nAuthorization: {signature}\r\n\r\n".encode()
    options = ["--accounts", str(tmp_path), "--admins", "boss", "--workers", "3", "--front-door-only"]
    with running(*options, check=False) as reflector:
        statuses = [reflector.ask(request).status for _ in range(9)]
        assert statuses == [404] + 8 * [403], "it is used up, though there was no such session"

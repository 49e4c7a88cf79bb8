"""/metrics and /readyz of a real reflector, as a monitoring system reads them."""

from __future__ import annotations

import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.peers import BINARY, TEXT, frame
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, authorization, date
from tests.waiting import PATIENCE, wait_until

HOST = "medusa.example:8381"


def values(text: bytes) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def metrics(reflector: Reflector) -> dict[tuple[str, ...], float]:
    answer = reflector.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return values(answer.rest)


def test_a_session_in_numbers() -> None:
    with running() as reflector:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            client.send(frame(BINARY, b"12345"))
            agent.expect(BINARY, b"12345")
            agent.send(frame(TEXT, b"123"))
            client.expect(TEXT, b"123")
            assert reflector.get("/nothing").status == 404
            found = metrics(reflector)
            assert found["medusa_sessions", "linked"] == 1
            assert found["medusa_relayed_bytes_total", "client"] == 5
            assert found["medusa_relayed_bytes_total", "agent"] == 3
            assert found["medusa_relayed_messages_total", "agent"] == 1
            assert found["medusa_connections", "link"] == 2
            assert found["medusa_connections", "request"] >= 1
            assert found["medusa_refusals_total", "404"] == 1
            assert found["medusa_link_up_seconds_count",] == found["medusa_wait_seconds_count",] == 1
            assert found["medusa_directory_seconds_count", "claim"] == 1
            assert session not in reflector.get("/metrics").rest.decode()
        reflector.ended(session)
        found = metrics(reflector)
        assert sum(found["medusa_sessions_ended_total", outcome] for outcome in ("lost", "completed")) == 1
        assert found["medusa_relayed_bytes_total", "client"] == 5
        assert found["medusa_sessions", "linked"] == 0


def test_ready_until_it_drains() -> None:
    with running("--drain-timeout", "30") as reflector:
        assert reflector.get("/readyz").status == 200
        with reflector.attach(new_id(), "master") as client:
            wait_until(reflector.states)
            reflector.signal(signal.SIGTERM)
            answer = wait_until(lambda: (found := reflector.get("/readyz")).status == 503 and found)
            assert answer
            assert answer.rest == b"this reflector is shutting down\n"
            assert answer.headers["retry-after"] == "5"
            assert reflector.get("/healthz").status == 200
            client.fin()
        assert reflector.process.wait(PATIENCE) == 0


def ask(reflector: Reflector, key: Key, owner: str, ago: float = 0) -> int:
    """The status of a signed request that a proxy has forwarded, so that it does not come from this host."""
    when = date(-ago)
    lines = ["GET /metrics HTTP/1.1", f"Host: {HOST}", f"Date: {when}", "Via: 1.1 proxy"]
    lines += ["Authorization: " + authorization(key, owner, "/metrics", HOST, when), "", ""]
    return reflector.ask("\r\n".join(lines).encode()).status


def test_admins_may_read_from_anywhere(tmp_path: Path) -> None:
    key, other = Key("ed25519"), Key("ed25519")
    allow(tmp_path, "alice", key)
    allow(tmp_path, "alice", other, user="ci")
    allow(tmp_path, "bob", other)
    with running("--accounts", str(tmp_path), "--admins", "alice", "--metrics-from", "127.0.0.9") as reflector:
        assert [ask(reflector, key, "alice") for _ in range(2)] == [200, 200], "to look on may be asked twice a second"
        assert ask(reflector, other, "bob") == 403
        assert ask(reflector, other, "alice/ci") == 403
        assert ask(reflector, other, "alice") == 404
        assert ask(reflector, key, "alice", ago=400) == 403
        assert reflector.get("/metrics").status == 200
        assert reflector.ask(f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\nVia: x\r\n\r\n".encode()).status == 403
        plain = f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\n"
        assert reflector.ask(f"{plain}\r\n".encode()).status == 403
        assert reflector.ask(f"{plain}\r\n".encode(), source="127.0.0.9").status == 200
        assert reflector.ask(f"{plain}Via: x\r\n\r\n".encode(), source="127.0.0.9").status == 403

"""What the reflector answers to requests: the upgrade to the byte, refusals, and heads that nobody should send."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import medusa
from tests.peers import ACCEPT, BINARY, LINKUP, TEXT, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.waiting import MS, wait_until
from tests.witnesses import Witness

GET_STATUS = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"


class TestUpgrade:
    @pytest.mark.parametrize(
        "changed",
        [{}, {"sec_websocket_protocol": "chat, mlogin", "sec_websocket_extensions": "permessage-deflate"}],
        ids=["front door", "offers"],
    )
    def test_the_bytes_of_the_101(self, reflector: Reflector, changed: dict[str, str]) -> None:
        with reflector.open(upgrade(f"/attach/{new_id()}/master", **changed)) as client:
            raw = client.head().raw
            assert re.fullmatch(
                rb"HTTP/1\.1 101 Switching Protocols\r\n"
                rb"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                rb"(Date: [A-Za-z0-9:, ]+\r\n)?\r\n" % re.escape(ACCEPT.encode()),
                raw,
            )
            assert client.quiet()

    def test_client_frames_behind_the_head_are_dropped_and_the_agents_delivered_after_linkup(
        self, reflector: Reflector
    ) -> None:
        session = new_id()
        early = frame(TEXT, b"early") + frame(BINARY, b"e" * 9000)
        half = frame(BINARY, b"later")
        with (
            reflector.attach(session, "master", early) as client,
            reflector.attach(session, "slave", early + half[:7]) as agent,
        ):
            agent.send(half[7:])
            client.linked()
            client.text("now")
            client.expect(TEXT, b"early")
            client.expect(BINARY, b"e" * 9000)
            client.expect(BINARY, b"later")
            agent.expect(TEXT, LINKUP)
            agent.expect(TEXT, b"now")


class TestAttach:
    def test_a_second_client_or_agent_is_refused_and_disturbs_nobody(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            Witness(client, agent).check()
            for role in ("master", "slave"):
                answer = reflector.ask(upgrade(f"/attach/{session}/{role}"))
                assert (answer.status, answer.headers["connection"]) == (409, "close")
            Witness(client, agent).check()

    @pytest.mark.parametrize("sent", ["a%2F..%2Fb", "a" * 8000], ids=["dots", "long"])
    def test_odd_ids_are_refused(self, reflector: Reflector, sent: str) -> None:
        before = len(reflector.logged("request refused"))
        answer = reflector.ask(upgrade(f"/attach/{sent}/master"))
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert reflector.refusal(before)["status"] == 400


class TestOtherPaths:
    def test_status_has_the_originals_shape(self, reflector: Reflector) -> None:
        session, now = new_id(), time.time() * 1000
        answer = reflector.get("/status")
        assert answer.status == 200
        assert answer.json() == {"health": "ok", "sessions": {"sessions": []}}
        with reflector.attach(session, "master"):
            (shown,) = reflector.sessions()
            created = shown.pop("create_time")
            assert isinstance(created, int)
            assert now - 1 <= created <= time.time() * 1000
            assert shown == {"id": session, "state": "slave_wait", "has_master": True, "has_slave": False}
            with reflector.attach(session, "slave"):
                linked = {"id": session, "state": "forwarding", "has_master": True, "has_slave": True}
                wait_until(lambda: reflector.sessions() == [{**linked, "create_time": created}])

    def test_healthz(self, reflector: Reflector) -> None:
        answer = reflector.get("/healthz")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"alive": True, "draining": False, "version": medusa.__version__}

    def test_the_archive(self, reflector: Reflector) -> None:
        archive = Path(medusa.__file__).parent / "data" / "agent.sh"
        answer = reflector.get("/agent.sh")
        assert (answer.status, answer.rest) == (200, archive.read_bytes())

    def test_a_request_behind_the_first_is_not_answered(self, reflector: Reflector) -> None:
        answer = reflector.ask((GET_STATUS + b"\r\n") * 2)
        assert answer.status == 200
        assert answer.rest.count(b"health") == 1
        assert len(answer.rest) == int(answer.headers["content-length"])


BAD_HEADS = {
    "two framings": GET_STATUS + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "a body": GET_STATUS + b"Content-Length: 5\r\n\r\nhello",
    "ESC": GET_STATUS + b"X: \x1b[2J\r\n",
    "two keys": upgrade("/attach/two-keys/master")[:-2] + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "a line without end": b"G" * 20000,
}


class TestBadHeads:
    @pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS)
    def test_is_answered_400_and_the_connection_ended(
        self, reflector: Reflector, witness: Witness, head: bytes
    ) -> None:
        before = len(reflector.logged("request refused"))
        answer = reflector.ask(head + b"\r\n\r\n" + GET_STATUS + b"\r\n")
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert len(answer.rest) == int(answer.headers["content-length"]), "nothing behind it is answered"
        entry = reflector.refusal(before)
        assert (entry["status"], entry["reason"]) == (400, answer.rest.decode().strip())

    def test_a_flood_behind_a_bad_head_stops_nobody(self, reflector: Reflector, witness: Witness) -> None:
        with reflector.open(b"nonsense\r\n\r\n") as peer:
            witness.bears(peer, b"x" * (1 << 20))

    def test_a_head_that_never_ends(self) -> None:
        with running(timeouts={"head_timeout": 0.3}) as reflector:
            begun = time.monotonic()
            with reflector.open(GET_STATUS) as peer:
                while peer.quiet(50 * MS):
                    peer.send(b"X: y\r\n")
                answer = peer.answer()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert time.monotonic() - begun > 0.25
            assert reflector.refusal(0)["status"] == 408

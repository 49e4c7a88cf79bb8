"""What the reflector answers to requests: the upgrade to the byte, refusals, and heads that nobody should send."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest

import medusa
from tests.peers import ACCEPT, BINARY, LINKUP, TEXT, frame, upgrade
from tests.reflectors import Reflector, Witness, new_id, running
from tests.waiting import MS, wait_until

GET_STATUS = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"
ODD_IDS = (
    *("", ".", "..", "%2e", "%2e%2e", "..%2f..", "%2F", "a%2F%2Fb", "a%2F..%2Fb"),
    *("%00", "a%00b", "%0a", "a%0Ab", "%20", "%1b[31m", "%", "%zz", "%u0041", "%C3", "%F0%9F%98%80", "%E2%80%AEx"),
    *("a" * 256, "a" * 8000, "a" * 10240),
)


class TestUpgrade:
    @pytest.mark.parametrize(
        "changed",
        [
            {},
            {"version": "13"},
            {"connection": "keep-alive, Upgrade"},
            {"upgrade": "WebSocket"},
            {"sec_websocket_protocol": "chat, mlogin", "sec_websocket_extensions": "permessage-deflate"},
            {"x_latin1": "\u0085\u00e9", "sec_websocket_key2": "x"},
        ],
        ids=["front door", "version 13", "connection list", "capital letters", "offers", "odd headers"],
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

    def test_the_head_and_a_frame_in_small_segments(self, reflector: Reflector) -> None:
        data = upgrade(f"/attach/{new_id()}/master") + frame(TEXT, b"x")
        with reflector.open() as client:
            for at in range(0, len(data), 7):
                client.send(data[at : at + 7])
            assert client.head().status == 101

    @pytest.mark.parametrize(
        ("status", "changed"),
        [
            (400, {"upgrade": None}),
            (400, {"connection": None}),
            (400, {"upgrade": "h2c"}),
            (400, {"connection": "close"}),
            (400, {"sec_websocket_key": None}),
            (400, {"sec_websocket_key": "short"}),
            (400, {"sec_websocket_key": "lDyCX+bu/SVA+XvXx6k3d===="}),
            (400, {"sec_websocket_key": None, "sec__websocket__key": "lDyCX+bu/SVA+XvXx6k3dQ=="}),
            (400, {"content_length": "1"}),
            (400, {"transfer_encoding": "chunked"}),
            (426, {"version": "8"}),
            (426, {"version": "13, 8"}),
        ],
    )
    def test_is_refused(
        self, reflector: Reflector, witness: Witness, status: int, changed: dict[str, str | None]
    ) -> None:
        before, session = len(reflector.logged("request refused")), new_id()
        changed = {name.replace("__", "\0"): value for name, value in changed.items()}
        data = upgrade(f"/attach/{session}/master", **changed).replace(b"\0", b"_")
        answer = reflector.ask(data)
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
        assert reflector.refusal(before)["status"] == status
        assert session not in reflector.states()

    def test_http_1_0_and_other_methods_are_refused(self, reflector: Reflector) -> None:
        data = upgrade(f"/attach/{new_id()}/master")
        assert reflector.ask(data.replace(b"HTTP/1.1", b"HTTP/1.0")).status == 400
        for method in (b"POST", b"HEAD", b"PATCH"):
            assert reflector.ask(data.replace(b"GET", method)).status == 405


class TestAttach:
    def test_a_second_client_or_agent_is_refused_and_disturbs_nobody(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            Witness(client, agent).check()
            for role in ("master", "slave"):
                answer = reflector.ask(upgrade(f"/attach/{session}/{role}"))
                assert (answer.status, answer.headers["connection"]) == (409, "close")
            Witness(client, agent).check()

    def test_a_second_client_of_a_waiting_session_is_refused(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.attach(session, "master"):
            assert reflector.ask(upgrade(f"/attach/{session}/master")).status == 409
            assert reflector.states()[session] == "slave_wait"

    def test_an_agent_without_session(self, reflector: Reflector) -> None:
        assert reflector.ask(upgrade(f"/attach/{new_id()}/slave")).status == 404

    def test_an_agent_of_a_closing_session(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.pair(session) as (client, _):
            client.close()
            wait_until(lambda: reflector.states().get(session) == "closing")
            assert reflector.ask(upgrade(f"/attach/{session}/slave")).status == 409

    @pytest.mark.parametrize(
        ("sent", "meant"),
        [
            ("%41bC", "abc"),
            ("%20%09abc%20", "abc"),
            ("login%2Fjobs%2F1", "login/jobs/1"),
            ("LOGIN%2fjobs", "login/jobs"),
            ("__proto__", "__proto__"),
            ("constructor", "constructor"),
            ("a" * 255, "a" * 255),
        ],
    )
    def test_ids_are_decoded_trimmed_and_lower_cased(self, reflector: Reflector, sent: str, meant: str) -> None:
        with reflector.attach(sent, "master") as client:
            assert list(reflector.states()) == [meant]
            with reflector.attach(quote(meant.upper(), safe=""), "slave"):
                client.linked()

    @pytest.mark.parametrize(
        "sent",
        ODD_IDS,
        ids=lambda sent: sent[:20],
    )
    @pytest.mark.parametrize("role", ["master", "slave"])
    def test_odd_ids_are_refused(self, reflector: Reflector, witness: Witness, sent: str, role: str) -> None:
        before = len(reflector.logged("request refused"))
        answer = reflector.ask(upgrade(f"/attach/{sent}/{role}"))
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert reflector.refusal(before)["status"] == 400

    @pytest.mark.parametrize("sent", [b"\xc3\xa9", b"a b", b"\x1b[31m", b"a\x00b"])
    def test_raw_bytes_in_an_id_are_refused(self, reflector: Reflector, sent: bytes) -> None:
        assert reflector.ask(upgrade("/attach/ID/master").replace(b"ID", sent)).status == 400


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
        if archive.exists():
            assert (answer.status, answer.rest) == (200, archive.read_bytes())
        else:
            assert answer.status == 404
            assert b"make archive" in answer.rest

    @pytest.mark.parametrize("path", ["/", "/nothing", "/attach/a/b/master", "/attach/a/other", "/status/", "//status"])
    def test_what_is_not_there(self, reflector: Reflector, path: str) -> None:
        assert reflector.get(path).status == 404

    def test_head_has_no_body_and_a_query_is_ignored(self, reflector: Reflector) -> None:
        answer = reflector.ask(b"HEAD /healthz?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (answer.status, answer.rest) == (200, b"")
        assert int(answer.headers["content-length"]) > 0

    def test_http_1_0(self, reflector: Reflector) -> None:
        answer = reflector.ask(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.json()["alive"] is True

    def test_a_request_behind_the_first_is_not_answered(self, reflector: Reflector) -> None:
        answer = reflector.ask((GET_STATUS + b"\r\n") * 2)
        assert answer.status == 200
        assert answer.rest.count(b"health") == 1
        assert len(answer.rest) == int(answer.headers["content-length"])


BAD_HEADS = {
    "two framings": GET_STATUS + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "chunked": GET_STATUS + b"Transfer-Encoding: chunked\r\n",
    "two lengths": GET_STATUS + b"Content-Length: 0\r\nContent-Length: 0\r\n",
    "a list of lengths": GET_STATUS + b"Content-Length: 0, 0\r\n",
    "a body": GET_STATUS + b"Content-Length: 5\r\n\r\nhello",
    "length +5": GET_STATUS + b"Content-Length: +5\r\n",
    "length 1_0": GET_STATUS + b"Content-Length: 1_0\r\n",
    "length -1": GET_STATUS + b"Content-Length: -1\r\n",
    "length 0x0": GET_STATUS + b"Content-Length: 0x0\r\n",
    "no length": GET_STATUS + b"Content-Length:\r\n",
    "NUL": GET_STATUS + b"X: a\0b\r\n",
    "bare CR": GET_STATUS + b"X: a\rY: b\r\n",
    "bare LF": GET_STATUS + b"X: a\nY: b\r\n",
    "ESC": GET_STATUS + b"X: \x1b[2J\r\n",
    "DEL": GET_STATUS + b"X: \x7f\r\n",
    "no colon": GET_STATUS + b"nonsense\r\n",
    "no name": GET_STATUS + b": value\r\n",
    "space before the colon": GET_STATUS + b"X : value\r\n",
    "folded line": GET_STATUS + b"X: a\r\n b\r\n",
    "space before the first header": b"GET /status HTTP/1.1\r\n Host: localhost\r\n",
    "two hosts": GET_STATUS + b"Host: y\r\n",
    "no host": b"GET /status HTTP/1.1\r\n",
    "two keys": upgrade("/attach/two-keys/master")[:-2] + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "two versions": upgrade("/attach/two-versions/master", version="13")[:-2] + b"Sec-WebSocket-Version: 13\r\n",
    "HTTP/0.9": b"GET /status\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n",
    "HTTP/1.2": b"GET /status HTTP/1.2\r\nHost: localhost\r\n",
    "http/1.1": b"GET /status http/1.1\r\nHost: localhost\r\n",
    "two spaces": b"GET  /status HTTP/1.1\r\nHost: localhost\r\n",
    "a tab": b"GET\t/status HTTP/1.1\r\nHost: localhost\r\n",
    "trailing space": b"GET /status HTTP/1.1 \r\nHost: localhost\r\n",
    "absolute form": b"GET http://x/status HTTP/1.1\r\nHost: localhost\r\n",
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\nHost: localhost\r\n",
    "an empty line first": b"\r\n" + GET_STATUS,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a long line": GET_STATUS + b"X: " + b"a" * 8190 + b"\r\n",
    "101 headers": GET_STATUS + b"X: y\r\n" * 100,
    "a large head": GET_STATUS + b"".join(b"X%d: %s\r\n" % (i, b"a" * 4000) for i in range(5)),
    "a head without end": GET_STATUS + b"X: y\r\n" * 3000,
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

    @pytest.mark.parametrize(
        "head",
        [
            GET_STATUS + b"X: y\r\n" * 99,
            GET_STATUS + b"X: " + b"a" * 8189 + b"\r\n",
            b"GET /status?" + b"a" * (8192 - 21) + b" HTTP/1.1\r\nHost: localhost\r\n",
            GET_STATUS + b"Content-Length: 0\r\n",
        ],
        ids=["100 headers", "a line of 8 KiB", "a target of 8 KiB", "length 0"],
    )
    def test_what_is_just_within_bounds_is_answered(self, reflector: Reflector, head: bytes) -> None:
        assert reflector.ask(head + b"\r\n").status == 200

    def test_a_flood_behind_a_bad_head_stops_nobody(self, reflector: Reflector, witness: Witness) -> None:
        with reflector.open(b"nonsense\r\n\r\n") as peer:
            witness.bears(peer, b"x" * (1 << 20))

    def test_a_head_that_never_ends(self) -> None:
        with (
            running(timeouts={"head_timeout": 0.3}) as reflector,
            reflector.pair() as (client, agent),
        ):
            begun = time.monotonic()
            with reflector.open(GET_STATUS) as peer:
                while peer.quiet(50 * MS):
                    peer.send(b"X: y\r\n")
                answer = peer.answer()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert 0.25 < time.monotonic() - begun < 5
            assert reflector.refusal(0)["status"] == 408
            Witness(client, agent).check()

    def test_the_deadline_for_a_head_is_ten_seconds(self) -> None:
        from medusa.protocol.http import head
        from medusa.reflector.config import Timeouts

        assert Timeouts().head_timeout == 10
        assert (head.MAX_HEAD, head.MAX_LINE, head.MAX_HEADERS) == (16384, 8192, 100)

    @pytest.mark.parametrize("head", [b"", b"GET /sta"], ids=["nothing", "half a line"])
    def test_a_peer_that_goes_before_its_head_is_whole(
        self, reflector: Reflector, witness: Witness, head: bytes
    ) -> None:
        before = len(reflector.logged("request refused"))
        with reflector.open(head) as peer:
            peer.fin()
            assert peer.until_fin() == b""
        if head:
            assert reflector.refusal(before)["status"] == 400
        with reflector.open(head) as peer:
            peer.reset()

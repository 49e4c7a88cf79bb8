"""The HTTP front on a socket pair: how a head is read, and what becomes of its connection."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from gevent.event import Event
from geventwebsocket.handler import WebSocketHandler
from structlog.testing import capture_logs

from medusa.protocol.errors import HandshakeError
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.http_front import Handler, HttpFront
from medusa.reflector.fronts.request_head import parse_head, read_head
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.certificate import Certificate
from medusa.reflector.net.listen import HTTP
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from tests.links import CERTIFICATE
from tests.unit.reflector.fronts.conftest import ADDRESS, CONFIG, Bench

ATTACH = b"GET /attach/id/slave?x HTTP/1.1\r\nHost: h\r\n\r\n"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    accepted: Accepted = environ["medusa.handler"].accepted
    assert accepted.request is not None
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close"), ("Content-Length", "2")])
    return [b"ok"]


@pytest.fixture
def front(bench: Bench) -> HttpFront:
    front = HttpFront(("127.0.0.1", 0), application, handler_class=Handler, log=None)
    front.config, front.metrics = CONFIG, bench.metrics
    front.doorkeeper, front.refusals = bench.doorkeeper, bench.admission.refusals
    front.scratch = memoryview(bytearray(4096))
    return front


def serve(front: HttpFront, bench: Bench, **read_elsewhere: Any) -> bytes:
    front.serve(Accepted(HTTP, bench.sock, ADDRESS, **read_elsewhere))
    return bench.received()


def test_the_head_and_what_comes_after_it(bench: Bench) -> None:
    bench.peer.sendall(ATTACH + b"first frame")
    accepted = Accepted(HTTP, bench.sock, ADDRESS)
    assert read_head(accepted)
    parse_head(accepted, CONFIG)
    assert accepted.request is not None
    assert (accepted.request.target, accepted.rest) == ("/attach/id/slave?x", b"first frame")
    assert accepted.data == ATTACH + b"first frame"


def test_a_trusted_proxys_header_names_the_client(bench: Bench) -> None:
    config = ReflectorConfig(trusted_proxy=("10.0.0.0/8",))
    accepted = Accepted(HTTP, bench.sock, ("10.0.0.1", 7), head=b"GET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.9")
    parse_head(accepted, config)
    assert (accepted.client, accepted.source, accepted.origin) == ("192.0.2.9", "192.0.2.9", ("192.0.2.9", 7))


def test_a_request_with_a_body_is_refused(bench: Bench) -> None:
    accepted = Accepted(HTTP, bench.sock, ADDRESS, head=b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1")
    with pytest.raises(HandshakeError, match="no request here has a body"):
        parse_head(accepted, CONFIG)


def test_a_request_is_answered_and_the_connection_closed(bench: Bench, front: HttpFront) -> None:
    bench.peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert serve(front, bench).endswith(b"\r\n\r\nok")
    assert bench.metrics.handlers == 0


def test_an_upgrade_sends_the_101_only_and_leaves_nothing_to_collect(bench: Bench, front: HttpFront) -> None:
    handlers: list[weakref.ref[Handler]] = []

    def upgrade(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handlers.append(weakref.ref(environ["medusa.handler"]))
        environ["medusa.handler"].upgrade("AAAAAAAAAAAAAAAAAAAAAA==").abort()
        return []

    front.application = upgrade
    bench.peer.sendall(ATTACH)
    gc.disable()
    try:
        answer = serve(front, bench)
        assert [handler() for handler in handlers] == [None]
    finally:
        gc.enable()
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("headers", [(), (("X-More", "1"), ("X-Even-More", "2"))])
def test_the_head_of_a_101_is_that_of_gevent_websocket(
    bench: Bench, front: HttpFront, headers: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    ours, theirs = (Handler(bench.sock, ADDRESS, front, Accepted(HTTP, bench.sock, ADDRESS)) for _ in range(2))
    ours.websocket_key, ours.more_headers = key, headers
    ours.upgrade_connection()
    theirs.environ = {"HTTP_SEC_WEBSOCKET_KEY": key, "HTTP_SEC_WEBSOCKET_VERSION": "13"}
    theirs.application = front.application
    monkeypatch.setattr(front, "logger", logging.getLogger("geventwebsocket"), raising=False)
    assert WebSocketHandler.upgrade_connection(theirs) is None
    more = "".join("%s: %s\r\n" % field for field in headers).encode()
    assert ours.head == theirs.head[:-2] + more + b"\r\n"
    theirs.websocket.closed, theirs.websocket.handler = True, None  # else it would send a Close frame


def test_an_error_of_the_application_is_logged_and_answered(bench: Bench, front: HttpFront) -> None:
    def fail(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ValueError("a bug")

    front.application = fail
    bench.peer.sendall(ATTACH)
    with capture_logs() as logs:
        assert serve(front, bench).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert [entry["event"] for entry in logs] == ["request failed"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b"408 Request Timeout"),
        (b"GET / HTTP/1.1\r\n", b"408 Request Timeout"),
        (b"\x16\x03\x01", b"400 Bad Request"),
        (b"MEDUSA/1 /attach/id/slave h\n", b"400 Bad Request"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\n", b"400 Bad Request"),
    ],
    ids=["nothing", "half a head", "TLS", "raw TCP", "SSH", "a bare LF"],
)
def test_heads_that_are_refused(bench: Bench, front: HttpFront, sent: bytes, status: bytes) -> None:
    bench.peer.sendall(sent)
    assert serve(front, bench).startswith(b"HTTP/1.1 " + status)


def test_a_request_that_gets_no_turn_in_time_may_come_again(bench: Bench, front: HttpFront) -> None:
    front.admit = Event().wait  # type: ignore[assignment]
    front.is_crowded = lambda: True
    bench.peer.sendall(ATTACH)
    answer = serve(front, bench)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 5\r\n" in answer


def test_a_peer_with_tls_that_gets_no_turn_gets_no_plain_text(bench: Bench, front: HttpFront) -> None:
    front.admit = Event().wait  # type: ignore[assignment]
    front.certificate = Certificate(str(CERTIFICATE), str(CERTIFICATE))
    bench.peer.sendall(b"\x16\x03\x01")
    with capture_logs() as logs:
        assert serve(front, bench) == b""
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("handshake failed", "the reflector is too busy to read this request now")
    ]
    assert bench.metrics.handlers == 0


@pytest.mark.parametrize(("sent", "refusals"), [(b"", []), (b"GET /sta", ["the head ended early"])])
def test_a_stream_that_ends_before_its_head_gets_no_answer(
    bench: Bench, front: HttpFront, sent: bytes, refusals: list[str]
) -> None:
    bench.peer.sendall(sent)
    bench.peer.shutdown(1)
    with capture_logs() as logs:
        assert serve(front, bench) == b""
    assert [entry["reason"] for entry in logs] == refusals


def test_a_connection_of_another_workers_session_is_handed_over(bench: Bench, front: HttpFront) -> None:
    front.handoff = bench.workers
    bench.peer.sendall(ATTACH + b"first frame")
    assert serve(front, bench) == b""
    assert bench.workers.taken == [(ATTACH + b"first frame", SessionName("id"), Side.AGENT)]


def test_other_paths_and_what_was_handed_over_stay(bench: Bench, front: HttpFront) -> None:
    front.handoff = bench.workers
    assert serve(front, bench, data=ATTACH, handed_over=True).endswith(b"ok")
    assert bench.workers.taken == []

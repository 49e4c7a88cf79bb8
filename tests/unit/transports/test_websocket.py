"""Dialling and adopting. What the links do then is in tests/conformance."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from medusa.protocol.messages import Binary, Text
from medusa.transports.adopt import adopt_websocket
from medusa.transports.base import BrokenTransport
from medusa.transports.connect import connect, upgrade
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused
from tests.blocking import receive, send
from tests.frames import BINARY, CLOSE, TEXT, frame
from tests.links import CERTIFICATE, server_context, unix_pair
from tests.servers import ScriptedServer, read_request, switching, until_the_end
from tests.waiting import MS, PATIENCE


def accepting(early: bytes = b"", cuts: int = 1 << 20) -> Callable[[socket.socket], None]:
    """Accepts the upgrade, `early` right behind the answer, all in pieces; then answers the client's Close."""

    def script(sock: socket.socket) -> None:
        data = switching(read_request(sock)) + early
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), cuts):
            sock.sendall(data[at : at + cuts])
        sock.recv(4096)
        sock.sendall(frame(CLOSE, key=None))

    return script


def test_the_request_is_byte_for_byte_what_the_url_says() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    def script(sock: socket.socket) -> None:
        request = read_request(sock)
        seen.append((request.target, request.headers.get("host"), request.headers.get("authorization")))
        sock.sendall(switching(request))
        until_the_end(sock)

    with ScriptedServer(script) as server:
        url = f"http://user@LocalHost:{server.port}/l/attach/a%2Fb/slave?expires=1&signature=a%2B%3d"
        connect(url, headers=[("Authorization", "Signature x")]).abort()
        assert seen == [
            ("/l/attach/a%2Fb/slave?expires=1&signature=a%2B%3d", f"LocalHost:{server.port}", "Signature x")
        ]


def test_every_request_has_its_own_key() -> None:
    keys = set()

    def script(sock: socket.socket) -> None:
        keys.add(read_request(sock).headers.get("sec-websocket-key"))

    with ScriptedServer(script, script) as server:
        for _ in range(2):
            with pytest.raises(ConnectRefused):
                connect(server.url())
    assert len(keys) == 2


@pytest.mark.parametrize("cuts", [1 << 20, 50, 1])
def test_frames_right_behind_the_answer_are_kept(cuts: int) -> None:
    early = frame(TEXT, b"one", key=None) + frame(BINARY, b"two", key=None)
    with ScriptedServer(accepting(early, cuts)) as server:
        link = connect(server.url())
        assert [receive(link), receive(link)] == [Text("one"), Binary(b"two")]
        link.close()


def test_what_is_sent_is_masked_and_the_socket_does_not_block() -> None:
    heard: list[bytes] = []

    def script(sock: socket.socket) -> None:
        sock.sendall(switching(read_request(sock)))
        heard.append(until_the_end(sock))

    with ScriptedServer(script) as server:
        link = connect(server.url())
        assert link.receive_nowait() is None
        send(link, Text("Hello"))
        link.abort()
    (data,) = heard
    assert data[:2] == b"\x81\x85"
    assert bytes(byte ^ data[2 + at % 4] for at, byte in enumerate(data[6:])) == b"Hello"


def test_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(sock: socket.socket) -> None:
        with server_context().wrap_socket(sock, server_side=True) as secure:
            accepting(frame(TEXT, b"early", key=None))(secure)

    with ScriptedServer(script, script) as server:
        link = connect(server.url(scheme="https"), insecure_tls=True)
        assert receive(link) == Text("early")
        link.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        link = connect(server.url(scheme="wss"))
        assert receive(link) == Text("early")
        link.close()


def answering(answer: bytes, linger: bool = False) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)
        if linger:
            until_the_end(sock)

    return script


TEXT_BODY = b"\r\nContent-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "retryable", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 404, True, "Not Found"),
        (b"HTTP/1.1 404 Not Found" + TEXT_BODY + b"no such session\nmore", 404, True, "no such session"),
        (b"HTTP/1.1 409 Conflict" + TEXT_BODY, 409, False, "Conflict"),
        (b"HTTP/1.1 409 Conflict\r\nContent-Type: text/html\r\n\r\n<html>", 409, False, "Conflict"),
        (b"HTTP/1.1 426 \r\n\r\n", 426, False, "no reason given"),
        (b"HTTP/1.1 500 x\r\n\r\n", 500, True, "x"),
        (b"HTTP/1.1 503 x\r\n\r\n", 503, True, "x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, False, "OK"),
        (b"HTTP/1.1 101 x\r\n\r\n", None, True, "without upgrading"),
        (b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", None, True, "Accept"),
        (b"SSH-2.0-x\r\n\r\n", None, True, "not an HTTP response"),
        (b"HTTP/1.1 101 x\r\n", None, True, "closed without an answer"),
        (b"", None, True, "closed without an answer"),
        (b"x" * 20_000, None, True, "above"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_refusals_say_why_and_whether_to_try_again(
    answer: bytes, status: int | None, retryable: bool, reason: str
) -> None:
    with ScriptedServer(answering(answer)) as server, pytest.raises(ConnectRefused, match=reason) as caught:
        connect(server.url("/a?signature=secret"))
    assert (caught.value.status, caught.value.retryable) == (status, retryable)
    assert "secret" not in str(caught.value)


def test_a_connection_that_is_reset_while_it_is_asked() -> None:
    near, far = unix_pair()
    far.close()
    with pytest.raises(ConnectRefused, match="Broken pipe") as caught:
        upgrade(near, "h", "/", time.monotonic() + PATIENCE)
    assert caught.value.retryable
    assert near.fileno() == -1


def test_an_upgrade_cut_off_at_any_byte_is_refused() -> None:
    answer = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    cuts = range(0, len(answer), 7)
    with ScriptedServer(*(answering(answer[:at]) for at in cuts)) as server:
        for _ in cuts:
            with pytest.raises(ConnectRefused) as caught:
                connect(server.url())
            assert caught.value.retryable


def test_an_explanation_that_never_ends_is_not_waited_for() -> None:
    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 403 Forbidden" + TEXT_BODY + b"you may not")
        until_the_end(sock)

    with ScriptedServer(script) as server:
        begun = time.monotonic()
        with pytest.raises(ConnectRefused, match="you may not"):
            connect(server.url(), timeout=1000 * MS)
        assert time.monotonic() - begun < PATIENCE / 2


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 101 Switching"])
def test_an_answer_that_does_not_come_is_given_up_in_time(sent: bytes) -> None:
    with ScriptedServer(answering(sent, linger=True)) as server:
        with pytest.raises(ConnectRefused, match="timed out") as caught:
            connect(server.url(), timeout=50 * MS)
        assert caught.value.retryable
    assert CONNECT_TIMEOUT == 30


@pytest.mark.parametrize("at", range(14))
def test_what_was_read_behind_the_head_is_the_first_that_an_adopted_link_hears(at: int) -> None:
    whole = frame(TEXT, b"early") + frame(BINARY)
    near, far = unix_pair()
    link = adopt_websocket(near, whole[:at])
    far.sendall(whole[at:])
    far.shutdown(socket.SHUT_WR)
    assert [receive(link), receive(link)] == [Text("early"), Binary(b"")]
    with pytest.raises(BrokenTransport):
        receive(link)
    link.abort()
    far.close()


def test_the_limit_holds_for_both_faces_of_an_adopted_link() -> None:
    for face in ("message", "relay"):
        near, far = unix_pair()
        link = adopt_websocket(near, max_message=10)
        far.sendall(frame(BINARY, bytes(10)) + frame(BINARY, bytes(11)))
        if face == "message":
            assert receive(link) == Binary(bytes(10))
            with pytest.raises(Exception, match="above the limit of 10"):
                receive(link)
        else:
            relayed = link.relay_read(link.framing)
            assert relayed is not None
            assert (relayed.messages, "above the limit of 10" in str(relayed.error)) == (1, True)
        link.close(timeout=0)
        assert far.recv(100)[:4] == b"\x88" + bytes((2 + len("message above the limit of 10 bytes"),)) + b"\x03\xf1"
        far.close()

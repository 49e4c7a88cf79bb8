"""Dialling a URL. What the links do then is in tests/conformance."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from medusa.protocol.messages import Binary, Text
from medusa.transports.connect import connect, upgrade
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused
from tests.blocking import receive, send
from tests.frames import BINARY, CLOSE, TEXT, cut, frame, raw_frame
from tests.links import server_context, unix_pair
from tests.servers import Script, ScriptedServer, read_request, switching, until_the_end
from tests.waiting import MS, PATIENCE

TEXT_BODY = b"\r\nContent-Type: text/plain\r\n\r\n"


def read_line(sock: socket.socket) -> bytes:
    """A greeting; nothing must have come after it yet."""
    data = b""
    while not data.endswith(b"\n"):
        data += sock.recv(4096)
    return data


def upgrading(sock: socket.socket) -> bytes:
    return switching(read_request(sock))


def greeted(sock: socket.socket) -> bytes:
    read_line(sock)
    return b"OK\n"


def accepting(answer: Callable[[socket.socket], bytes], early: bytes, step: int = 1 << 20) -> Script:
    """Accepts the handshake, with `early` right after the answer, in pieces of `step` bytes; then answers a Close."""

    def script(sock: socket.socket) -> None:
        data = answer(sock) + early
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in cut(data, step):
            sock.sendall(piece)
        sock.recv(4096)
        sock.sendall(raw_frame(CLOSE) if answer is greeted else frame(CLOSE, key=None))

    return script


def refusing(
    read: Callable[[socket.socket], object], answer: bytes, linger: bool = False
) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        read(sock)
        sock.sendall(answer)
        if linger:
            until_the_end(sock)

    return script


def test_the_request_is_byte_for_byte_what_the_url_says() -> None:
    seen: list[tuple[str, str | None, str | None]] = []
    path = "/l/attach/a%2Fb/slave?expires=1&signature=a%2B%3d"

    def script(sock: socket.socket) -> None:
        request = read_request(sock)
        seen.append((request.target, request.headers.get("host"), request.headers.get("authorization")))
        sock.sendall(switching(request))
        until_the_end(sock)

    with ScriptedServer(script) as server:
        url = f"http://user@LocalHost:{server.port}{path}"
        connect(url, headers=[("Authorization", "Signature x")]).abort()
        assert seen == [(path, f"LocalHost:{server.port}", "Signature x")]


def test_the_greeting_is_byte_for_byte_what_the_url_says() -> None:
    seen: list[bytes] = []
    path = "/l/medusa/attach/a%2Fb/slave?expires=1&signature=a%2B%3d"

    def script(sock: socket.socket) -> None:
        seen.append(read_line(sock))
        sock.sendall(b"OK\n")
        until_the_end(sock)

    with ScriptedServer(script) as server:
        connect(f"tcp://LocalHost:{server.port}{path}").abort()
        assert seen == [f"MEDUSA/1 {path} LocalHost:{server.port}\n".encode()]


def test_every_request_has_its_own_key() -> None:
    keys = set()

    def script(sock: socket.socket) -> None:
        keys.add(read_request(sock).headers.get("sec-websocket-key"))

    with ScriptedServer(script, script) as server:
        for _ in range(2):
            with pytest.raises(ConnectRefused):
                connect(server.url())
    assert len(keys) == 2


@pytest.mark.parametrize("step", [1 << 20, 50, 3, 1])
@pytest.mark.parametrize("scheme", ["ws", "tcp"])
def test_frames_right_after_the_answer_are_kept(scheme: str, step: int) -> None:
    if scheme == "tcp":
        script = accepting(greeted, raw_frame(TEXT, b"one") + raw_frame(BINARY, b"two"), step)
    else:
        script = accepting(upgrading, frame(TEXT, b"one", key=None) + frame(BINARY, b"two", key=None), step)
    with ScriptedServer(script) as server:
        link = connect(server.url(scheme=scheme))
        assert [receive(link), receive(link)] == [Text("one"), Binary(b"two")]
        link.close()


def test_what_is_sent_is_masked_and_the_socket_does_not_block() -> None:
    received: list[bytes] = []

    def script(sock: socket.socket) -> None:
        sock.sendall(switching(read_request(sock)))
        received.append(until_the_end(sock))

    with ScriptedServer(script) as server:
        link = connect(server.url())
        assert link.receive_nowait() is None
        send(link, Text("Hello"))
        link.abort()
    (data,) = received
    assert data[:2] == b"\x81\x85"
    assert bytes(byte ^ data[2 + at % 4] for at, byte in enumerate(data[6:])) == b"Hello"


def test_a_websocket_over_tls() -> None:
    def script(sock: socket.socket) -> None:
        with server_context().wrap_socket(sock, server_side=True) as secure:
            accepting(upgrading, frame(TEXT, b"early", key=None))(secure)

    with ScriptedServer(script) as server:
        link = connect(server.url(scheme="wss"), insecure_tls=True)
        assert receive(link) == Text("early")
        link.close()


@pytest.mark.parametrize(
    ("answer", "status", "retryable", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 404, True, "Not Found"),
        (b"HTTP/1.1 404 Not Found" + TEXT_BODY + b"no such session\nmore", 404, True, "no such session"),
        (b"HTTP/1.1 409 Conflict" + TEXT_BODY, 409, False, "Conflict"),
        (b"HTTP/1.1 409 Conflict\r\nContent-Type: text/html\r\n\r\n<html>", 409, False, "Conflict"),
        (b"HTTP/1.1 426 \r\n\r\n", 426, False, "no reason given"),
        (b"HTTP/1.1 503 x\r\n\r\n", 503, True, "x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, False, "OK"),
        (b"HTTP/1.1 101 x\r\n\r\n", None, True, "without upgrading"),
        (b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", None, True, "Accept"),
        (b"SSH-2.0-x\r\n\r\n", None, True, "not an HTTP response"),
        *((b"HTTP/1.1 101 x\r\nUpgrade: websocket"[:at], None, True, "closed without an answer") for at in (0, 9, 30)),
        (b"x" * 20_000, None, True, "above"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_refused_upgrade_says_why_and_whether_to_try_again(
    answer: bytes, status: int | None, retryable: bool, reason: str
) -> None:
    script = refusing(read_request, answer)
    with ScriptedServer(script) as server, pytest.raises(ConnectRefused, match=reason) as caught:
        connect(server.url("/a?signature=secret"))
    assert (caught.value.status, caught.value.retryable) == (status, retryable)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "status", "retryable", "words"),
    [
        (b"ERR 404 there is no such session\n", 404, True, "there is no such session"),
        (b"ERR 409 taken\r\n", 409, False, "taken"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None, False, "HTTP is spoken there: a tcp:// URL needs"),
        (b"SSH-2.0-server\r\n", None, True, "no reflector's raw port: it answered SSH-2.0-server"),
        (bytes(9000), None, True, "first line above"),
        (b"", None, True, "closed without an answer|connection failed|reset"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_refused_greeting_says_why_and_whether_to_try_again(
    answer: bytes, status: int | None, retryable: bool, words: str
) -> None:
    script = refusing(read_line, answer)
    with ScriptedServer(script) as server, pytest.raises(ConnectRefused, match=words) as caught:
        connect(server.url(scheme="tcp"))
    assert (caught.value.status, caught.value.retryable) == (status, retryable)


def test_a_connection_that_is_reset_during_the_upgrade() -> None:
    near, far = unix_pair()
    far.close()
    with pytest.raises(ConnectRefused, match="Broken pipe") as caught:
        upgrade(near, "h", "/", time.monotonic() + PATIENCE)
    assert caught.value.retryable
    assert near.fileno() == -1


@pytest.mark.parametrize(
    ("scheme", "sent", "words"),
    [
        ("ws", b"", "timed out"),
        ("ws", b"HTTP/1.1 101 Switching", "timed out"),
        ("ws", b"HTTP/1.1 403 Forbidden" + TEXT_BODY + b"you may not", "you may not"),
        ("tcp", b"", "no answer"),
    ],
)
def test_an_answer_that_does_not_come_or_does_not_end_is_not_waited_for(scheme: str, sent: bytes, words: str) -> None:
    read = read_line if scheme == "tcp" else read_request
    with ScriptedServer(refusing(read, sent, linger=True)) as server:
        begun = time.monotonic()
        with pytest.raises(ConnectRefused, match=words) as caught:
            connect(server.url(scheme=scheme), timeout=200 * MS)
        assert time.monotonic() - begun < PATIENCE / 2
        assert caught.value.retryable is (caught.value.status is None)
    assert CONNECT_TIMEOUT == 30

"""Dialling a URL. What the links do then is in tests/conformance."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from medusa.protocol.messages import Binary, Text
from medusa.transports.connect import connect, upgrade
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused
from medusa.transports.steps import run
from medusa.transports.tls import stream_over
from tests.blocking import receive
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


def over_tls(script: Script) -> Script:
    def wrapped(sock: socket.socket) -> None:
        with server_context().wrap_socket(sock, server_side=True) as secure:
            script(secure)

    return wrapped


def refusing(
    read: Callable[[socket.socket], object], answer: bytes, linger: bool = False
) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        read(sock)
        sock.sendall(answer)
        if linger:
            until_the_end(sock)

    return script


@pytest.mark.parametrize(
    ("scheme", "first"), [("http", "GET {} HTTP/1.1\r\nHost: {}\r\n"), ("tcp", "MEDUSA/1 {} {}\n")]
)
def test_the_handshake_is_byte_for_byte_what_the_url_says(scheme: str, first: str) -> None:
    seen: list[bytes] = []
    path = "/l/medusa/attach/a%2Fb/slave?expires=1&signature=a%2B%3d"
    with ScriptedServer(lambda sock: seen.append(sock.recv(4096))) as server:
        with pytest.raises(ConnectRefused):
            connect(f"{scheme}://user@LocalHost:{server.port}{path}", headers=[("Authorization", "Signature x")])
        assert seen[0].startswith(first.format(path, f"LocalHost:{server.port}").encode())
        assert (b"\r\nAuthorization: Signature x\r\n" in seen[0]) is (scheme == "http")


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
@pytest.mark.parametrize("scheme", ["ws", "wss", "tcp"])
def test_frames_right_after_the_answer_are_kept(scheme: str, step: int) -> None:
    if scheme == "tcp":
        script = accepting(greeted, raw_frame(TEXT, b"one") + raw_frame(BINARY, b"two"), step)
    else:
        script = accepting(upgrading, frame(TEXT, b"one", key=None) + frame(BINARY, b"two", key=None), step)
    with ScriptedServer(over_tls(script) if scheme == "wss" else script) as server:
        link = connect(server.url(scheme=scheme), insecure_tls=True)
        assert [receive(link), receive(link)] == [Text("one"), Binary(b"two")]
        link.close()


@pytest.mark.parametrize(
    ("before", "fields"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", b""),
        (
            b"",
            b"Date: a\r\nDate: b\r\nServer: c\r\nServer: d\r\nVia: e\r\nVia: f\r\nSet-Cookie: g\r\nSet-Cookie: h\r\n",
        ),
        (b"", b"Connection: keep-alive\r\nContent-Length: 0\r\n"),
        (b"", b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\nSec-WebSocket-Protocol:\r\n"),
    ],
)
def test_what_stands_around_an_acceptance_does_not_matter(before: bytes, fields: bytes) -> None:
    def answer(sock: socket.socket) -> bytes:
        return before + upgrading(sock).replace(b"\r\nUpgrade", b"\r\n" + fields + b"Upgrade")

    with ScriptedServer(accepting(answer, frame(BINARY, b"one", key=None), 9)) as server:
        link = connect(server.url())
        assert receive(link) == Binary(b"one")
        link.close()


@pytest.mark.parametrize(
    "fields",
    [
        b"Upgrade: websocket\r\n",  # both fields are one list: websocket over websocket
        b"Upgrade: h2c\r\n",
        b"Sec-WebSocket-Accept: x\r\n",
        b"Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: chat\r\n",
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
    ],
)
def test_a_second_field_may_not_change_what_was_accepted(fields: bytes) -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(upgrading(sock).replace(b"\r\nUpgrade", b"\r\n" + fields + b"Upgrade"))

    with ScriptedServer(script) as server, pytest.raises(ConnectRefused) as caught:
        connect(server.url())
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("scheme", "answer", "status", "retryable", "reason"),
    [
        ("ws", b"HTTP/1.1 404 Not Found\r\n\r\n", 404, True, "Not Found"),
        ("ws", b"HTTP/1.1 404 Not Found" + TEXT_BODY + b"no such session\nmore", 404, True, "no such session"),
        ("ws", b"HTTP/1.1 409 Conflict" + TEXT_BODY, 409, False, "Conflict"),
        ("ws", b"HTTP/1.1 409 Conflict\r\nContent-Type: text/html\r\n\r\n<html>", 409, False, "Conflict"),
        ("ws", b"HTTP/1.1 426 \r\n\r\n", 426, False, "no reason given"),
        *(
            ("ws", b"HTTP/1.1 %d x\r\n\r\n" % status, status, True, "x")
            for status in (408, 425, 429, 500, 503, 521, 599)
        ),
        ("ws", b"HTTP/1.1 521 x\r\nContent-Length: 1\r\nContent-Length: 2" + TEXT_BODY + b"down", 521, True, "down"),
        (
            "ws",
            b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked" + TEXT_BODY + b"4\r\ndown\r\n0\r\n\r\n",
            500,
            True,
            "^x$",
        ),
        ("ws", b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 409 y\r\n\r\n", 409, False, "y"),
        *(
            (
                "ws",
                b"HTTP/1.1 %d x\r\nLocation: https://u@other/b?signature=secret\r\n\r\n" % status,
                status,
                False,
                words,
            )
            for status in (301, 302, 303, 307, 308)
            for words in ["^x; it leads to https://other/b, and redirects are not followed: give that address"]
        ),
        ("ws", b"HTTP/1.1 302 x\r\n\r\n", 302, False, "^x$"),
        ("ws", b"HTTP/1.1 100 x\r\n\r\n" * 17, None, True, "interim"),
        ("ws", b"HTTP/1.1 200 OK\r\n\r\n", 200, False, "OK"),
        ("ws", b"HTTP/1.1 101 x\r\n\r\n", None, True, "without upgrading"),
        ("ws", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", None, True, "Accept"),
        ("ws", b"SSH-2.0-x\r\n\r\n", None, True, "not an HTTP response"),
        *(
            ("ws", b"HTTP/1.1 101 x\r\nUpgrade: websocket"[:at], None, True, "closed without an answer")
            for at in (0, 9, 30)
        ),
        ("ws", b"x" * 20_000, None, True, "above"),
        ("tcp", b"ERR 404 there is no such session\n", 404, True, "there is no such session"),
        ("tcp", b"ERR 409 taken\r\n", 409, False, "taken"),
        ("tcp", b"HTTP/1.1 400 Bad Request\r\n\r\n", None, False, "HTTP is spoken there: a tcp:// URL needs"),
        ("tcp", b"SSH-2.0-server\r\n", None, True, "no reflector's raw port: it answered SSH-2.0-server"),
        ("tcp", bytes(9000), None, True, "first line above"),
        ("tcp", b"", None, True, "closed without an answer|connection failed|reset"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_refusal_says_why_and_whether_to_try_again(
    scheme: str, answer: bytes, status: int | None, retryable: bool, reason: str
) -> None:
    script = refusing(read_line if scheme == "tcp" else read_request, answer)
    with ScriptedServer(script) as server, pytest.raises(ConnectRefused, match=reason) as caught:
        connect(server.url("/a?signature=secret", scheme))
    assert (caught.value.status, caught.value.retryable) == (status, retryable)
    assert "secret" not in str(caught.value)


def test_a_connection_that_is_reset_during_the_upgrade() -> None:
    near, far = unix_pair()
    far.close()
    with pytest.raises(ConnectRefused, match="Broken pipe") as caught:
        run(upgrade(stream_over(near), "h", "/", time.monotonic() + PATIENCE))
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


FEATURES = ("Medusa-Features", "notice")
ABOUT = ("Medusa-About", "name=x")
JOIN = ("Medusa-Join", "1")
LEG = ("Medusa-Leg", "ab" * 16)
OLDER = b"ERR 400 not a greeting; say MEDUSA/1 TARGET HOST\n"
SHORT_OF_ID = b"ERR 400 the session id is too long\n"


@pytest.mark.parametrize(
    ("headers", "answers", "greetings"),
    [
        ([FEATURES], [OLDER, b"OK\n"], [b" features=notice", b""]),
        ([ABOUT, FEATURES], [OLDER, b"OK\n"], [b" about=name=x features=notice", b" features=notice"]),
        ([ABOUT, FEATURES], [OLDER, OLDER, b"OK\n"], [b" about=name=x features=notice", b" features=notice", b""]),
        ([FEATURES], [b"ERR 404 no such session\n"], [b" features=notice"]),
        ([], [OLDER], [b""]),
        ([FEATURES, JOIN], [OLDER], [b" features=notice join=1"]),
        ([LEG], [OLDER], [b" leg=" + b"ab" * 16]),
        ([JOIN], [SHORT_OF_ID], [b" join=1"]),
    ],
)
def test_an_older_raw_port_is_greeted_without_the_words_that_it_does_not_know(
    headers: list[tuple[str, str]], answers: list[bytes], greetings: list[bytes]
) -> None:
    seen: list[bytes] = []

    def answering(answer: bytes) -> Script:
        def script(sock: socket.socket) -> None:
            seen.append(read_line(sock))
            sock.sendall(answer)

        return script

    with ScriptedServer(*map(answering, answers)) as server:
        url = server.url("/x", "tcp")
        if answers[-1] == b"OK\n":
            connect(url, headers=headers).abort()
        else:
            with pytest.raises(ConnectRefused) as caught:
                connect(url, headers=headers)
            too_old = answers == [OLDER] and headers != []
            assert ("the reflector is too old" in str(caught.value)) is too_old
            assert not (too_old and caught.value.retryable)
        where = url.removeprefix("tcp://").partition("/")[0].encode()
    assert seen == [b"MEDUSA/1 /x " + where + words + b"\n" for words in greetings]

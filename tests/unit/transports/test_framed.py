"""Dialling and adopting. What the links do then is in tests/conformance."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from medusa.protocol.messages import Binary, Close, Text
from medusa.protocol.raw.codec import FramedConnection
from medusa.transports.adopt import adopt_framed
from medusa.transports.connect import connect
from medusa.transports.dial import ConnectRefused
from tests.blocking import receive
from tests.frames import BINARY, CLOSE, TEXT, raw_frame
from tests.links import unix_pair
from tests.servers import ScriptedServer, read_request, switching, until_the_end
from tests.waiting import MS


def line(sock: socket.socket) -> bytes:
    """What comes up to the end of a line; nothing must have come behind it yet."""
    data = b""
    while not data.endswith(b"\n"):
        data += sock.recv(4096)
    return data


def answering(*answer: bytes) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        line(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in answer:
            sock.sendall(piece)
        until_the_end(sock)

    return script


def test_the_greeting_is_byte_for_byte_what_the_url_says() -> None:
    seen: list[bytes] = []

    def script(sock: socket.socket) -> None:
        seen.append(line(sock))
        sock.sendall(b"OK\n")
        until_the_end(sock)

    with ScriptedServer(script) as server:
        path = "/l/medusa/attach/a%2Fb/slave?expires=1&signature=a%2B%3d"
        connect(f"tcp://LocalHost:{server.port}{path}").abort()
        assert seen == [f"MEDUSA/1 {path} LocalHost:{server.port}\n".encode()]


@pytest.mark.parametrize("cuts", [1 << 20, 3, 1])
def test_frames_right_behind_the_answer_are_kept(cuts: int) -> None:
    data = b"OK\n" + raw_frame(TEXT, b"one") + raw_frame(BINARY, b"two")
    pieces = [data[at : at + cuts] for at in range(0, len(data), cuts)]
    with ScriptedServer(answering(*pieces)) as server:
        link = connect(server.url(scheme="tcp"))
        assert [receive(link), receive(link)] == [Text("one"), Binary(b"two")]
        link.abort()


@pytest.mark.parametrize(
    ("answer", "status", "retryable", "words"),
    [
        (b"ERR 404 there is no such session\n", 404, True, "there is no such session"),
        (b"ERR 409 taken\r\n", 409, False, "taken"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None, False, "HTTP is spoken there: a tcp:// URL needs"),
        (b"SSH-2.0-server\r\n", None, True, "no reflector's raw port: it answered SSH-2.0-server"),
        (bytes(9000), None, True, "first line above"),
    ],
)
def test_refusals(answer: bytes, status: int | None, retryable: bool, words: str) -> None:
    with ScriptedServer(answering(answer)) as server:
        with pytest.raises(ConnectRefused) as caught:
            connect(server.url(scheme="tcp"))
        assert (caught.value.status, caught.value.retryable) == (status, retryable)
        assert words in str(caught.value)


def silent(sock: socket.socket) -> None:
    until_the_end(sock)


def test_a_server_that_hangs_up_or_says_nothing() -> None:
    with ScriptedServer(lambda _: None, silent) as server:
        with pytest.raises(ConnectRefused, match=r"closed without an answer|connection failed|reset"):
            connect(server.url(scheme="tcp"))
        with pytest.raises(ConnectRefused, match="no answer"):
            connect(server.url(scheme="tcp"), timeout=100 * MS)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectRefused, match="refused"):
        connect(f"tcp://127.0.0.1:{port}/attach/x/slave")


@pytest.mark.parametrize("url", ["tcp://127.0.0.1/attach/x/slave", "tcp://127.0.0.1:0/x"])
def test_a_port_is_needed(url: str) -> None:
    with pytest.raises(ConnectRefused, match="needs a port") as caught:
        connect(url)
    assert not caught.value.retryable


def test_other_schemes_are_websockets() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(switching(read_request(sock)))
        until_the_end(sock)

    with ScriptedServer(script) as server:
        connect(server.url(scheme="http")).abort()


def test_what_came_behind_a_greeting_is_kept() -> None:
    near, far = unix_pair()
    with near:
        link = adopt_framed(far, raw_frame(BINARY, b"early") + raw_frame(CLOSE)[:3])
        assert receive(link) == Binary(b"early")
        near.sendall(raw_frame(CLOSE)[3:])
        assert receive(link) == Close(None)
        assert near.recv(100) == FramedConnection().frame(Close(1000))
        link.abort()

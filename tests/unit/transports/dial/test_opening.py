from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from medusa.transports.dial import ConnectRefused, open_socket, parse_url
from tests.links import CERTIFICATE, server_context
from tests.servers import ScriptedServer
from tests.waiting import MS, PATIENCE


def deadline() -> float:
    return time.monotonic() + PATIENCE


def test_a_port_that_nothing_listens_on() -> None:
    with socket.socket() as bound:  # so that no other program listens there
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}/?signature=secret"
        with pytest.raises(ConnectRefused, match="Connection refused") as caught:
            open_socket(parse_url(url), False, deadline())
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_no_such_host() -> None:
    with pytest.raises(ConnectRefused) as caught:
        open_socket(parse_url("ws://" + "x" * 64 + ".invalid/"), False, deadline())
    assert caught.value.retryable


def tls(sock: socket.socket) -> None:
    with server_context().wrap_socket(sock, server_side=True) as secure:
        secure.sendall(b"hello" + secure.recv(100))


def test_tls_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(tls, tls) as server:
        target = parse_url(server.url(scheme="wss"))
        with pytest.raises(ConnectRefused, match="certificate not accepted") as caught:
            open_socket(target, False, deadline())
        assert not caught.value.retryable
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        with closing(open_socket(target, False, deadline())) as sock:
            sock.sendall(b"!")
            assert sock.recv(100) == b"hello!"


def test_tls_for_another_name_is_refused_unless_any_certificate_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with ScriptedServer(tls, tls) as server:
        target = parse_url(server.url(scheme="wss"))._replace(host="127.0.0.2")
        monkeypatch.setattr(socket, "getaddrinfo", _to("127.0.0.1", socket.getaddrinfo))
        with pytest.raises(ConnectRefused, match="certificate not accepted"):
            open_socket(target, False, deadline())
        with closing(open_socket(target, True, deadline())) as sock:
            sock.sendall(b"!")
            assert sock.recv(100) == b"hello!"


def _to(host: str, look_up: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, port, **options: look_up(host, port, **options)


def test_a_peer_that_says_nothing_is_given_up_in_time() -> None:
    def silent(sock: socket.socket) -> None:
        sock.recv(1 << 16)
        sock.recv(1)

    with ScriptedServer(silent) as server:
        begun = time.monotonic()
        with pytest.raises(ConnectRefused, match="timed out"):
            open_socket(parse_url(server.url(scheme="wss")), False, time.monotonic() + 50 * MS)
        assert time.monotonic() - begun < PATIENCE / 2


def granted(reply: bytes) -> bool:
    return bool(re.search(rb"(?:^|\r\n\r\n)HTTP/1\.. 2..", reply))


class Proxy:
    """Answers one CONNECT with `reply`, and notes the request's lines."""

    def __init__(self, reply: bytes) -> None:
        self.lines: list[str] = []
        self._reply = reply

    def __call__(self, sock: socket.socket) -> None:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += sock.recv(4096)
        self.lines = data.decode().split("\r\n")
        sock.sendall(self._reply)
        if granted(self._reply):
            sock.sendall(b"through: " + sock.recv(100))


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("url", "variable", "where"),
    [
        ("ws://far.example/a?secret", "HTTP_PROXY", "far.example:80"),
        ("http://far.example:8381/", "http_proxy", "far.example:8381"),
        ("ws://[fd00::1]:8381/", "http_proxy", "[fd00::1]:8381"),
        ("ws://far.example/", "ALL_PROXY", "far.example:80"),
        ("tcp://far.example:7/", "all_proxy", "far.example:7"),
    ],
)
def test_a_proxy_is_asked_for_a_tunnel(proxies: pytest.MonkeyPatch, url: str, variable: str, where: str) -> None:
    proxy = Proxy(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with ScriptedServer(proxy) as server:
        proxies.setenv(variable, f"http://127.0.0.1:{server.port}")
        with closing(open_socket(parse_url(url), False, deadline())) as sock:
            sock.sendall(b"hello")
            assert sock.recv(100) == b"through: hello"
    assert proxy.lines == [f"CONNECT {where} HTTP/1.1", f"Host: {where}", "", ""]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 202 \r\n\r\n",
        b"HTTP/1.0 299\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nDate: a\r\nDate: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nContent-Length: y\r\nVia: 1.1 a,\r\n 1.1 b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_every_2xx_grants_the_tunnel_whatever_else_the_proxy_says(proxies: pytest.MonkeyPatch, reply: bytes) -> None:
    with ScriptedServer(Proxy(reply)) as server:
        proxies.setenv("http_proxy", f"127.0.0.1:{server.port}")
        with closing(open_socket(parse_url("ws://far.example/"), False, deadline())) as sock:
            sock.sendall(b"hello")
            assert sock.recv(100) == b"through: hello"


def test_a_proxys_password_goes_to_the_proxy(proxies: pytest.MonkeyPatch) -> None:
    proxy = Proxy(b"HTTP/1.0 200 OK\r\nVia: x\r\n\r\n")
    with ScriptedServer(proxy) as server:
        proxies.setenv("http_proxy", f"user%40x:p%3Aw@127.0.0.1:{server.port}")
        with closing(open_socket(parse_url("ws://far.example/"), False, deadline())) as sock:
            sock.sendall(b".")
    assert "Proxy-Authorization: Basic " + base64.b64encode(b"user@x:p:w").decode() in proxy.lines


@pytest.mark.parametrize(
    ("reply", "status", "retryable"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", 403, False),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 407, False),
        (b"HTTP/1.1 503 x\r\n\r\n", 503, True),
        (b"HTTP/1.1 200 OK\r\n\r\nearly bytes", 200, False),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, False),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", 302, False),
        (b"HTTP/1.1 522 x\r\n\r\n", 522, True),
        (b"HTTP/1.1 100 x\r\n\r\n" * 17, None, True),
        (b"220 smtp ready\r\n\r\n", None, True),
        (b"", None, True),
    ],
)
def test_a_proxy_refuses(proxies: pytest.MonkeyPatch, reply: bytes, status: int | None, retryable: bool) -> None:
    with ScriptedServer(Proxy(reply)) as server:
        proxies.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
        with pytest.raises(ConnectRefused) as caught:
            open_socket(parse_url("wss://far.example/"), False, deadline())
    assert (caught.value.status, caught.value.retryable) == (status, retryable)


def test_tls_goes_through_the_tunnel(proxies: pytest.MonkeyPatch) -> None:
    def proxy(sock: socket.socket) -> None:
        read_connect(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        tls(sock)

    with ScriptedServer(proxy) as server:
        proxies.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
        proxies.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        with closing(open_socket(parse_url("wss://localhost:9/"), False, deadline())) as sock:
            sock.sendall(b"!")
            assert sock.recv(100) == b"hello!"


def read_connect(sock: socket.socket) -> None:
    while not sock.recv(4096).endswith(b"\r\n\r\n"):
        pass


def test_no_proxy_is_used_for_a_host_in_no_proxy(proxies: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda sock: sock.sendall(b"direct")) as server:
        proxies.setenv("http_proxy", "http://127.0.0.1:1")
        proxies.setenv("no_proxy", "example.org,127.0.0.1")
        with closing(open_socket(parse_url(server.url()), False, deadline())) as sock:
            assert sock.recv(10) == b"direct"


def test_a_proxy_that_cannot_be_reached_is_named(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    with pytest.raises(ConnectRefused, match=r"the proxy 127\.0\.0\.1:1: Connection refused$") as caught:
        open_socket(parse_url("ws://far.example/"), False, deadline())
    assert caught.value.retryable

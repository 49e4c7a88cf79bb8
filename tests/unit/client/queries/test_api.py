from __future__ import annotations

import socket

import pytest

from medusa.client.keys.account import Account
from medusa.client.queries.api import PAGE, Api, NoAnswer
from medusa.protocol.http.response import MAX_INTERIM
from tests.servers import ScriptedServer, read_request


def answering(answer: bytes) -> ScriptedServer:
    def script(sock: socket.socket) -> None:
        request = read_request(sock)
        assert (request.method, request.target) == ("GET", "/below/sessions")
        assert request.headers.get("medusa-page") == f"limit={PAGE}"
        sock.sendall(answer)

    return ScriptedServer(script)


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'1e\r\n{"sessions": [{"id": "1"}], "m\r\n13\r\nissing": "a\\u001b"}\r\n0\r\n\r\n'
)


@pytest.mark.parametrize(
    "answer",
    [
        ok(b'{"sessions": [{"id": "1"}], "missing": "a\\u001b"}'),
        CHUNKED,
        b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * MAX_INTERIM + CHUNKED,
        b'HTTP/1.0 200 OK\r\n\r\n{"sessions": [{"id": "1"}], "missing": "a\\u001b"}',
    ],
)
def test_a_list(answer: bytes) -> None:
    with answering(answer) as server:
        assert Api(server.url("/below/", "http")).sessions("/sessions") == ([{"id": "1"}], "a\\x1b")


def test_a_list_in_pages() -> None:
    targets = list[str | None]()

    def script(sock: socket.socket) -> None:
        targets.append(read_request(sock).headers.get("medusa-page"))
        sock.sendall(ok([b'{"sessions": [{"id": "1"}], "next": "c=&"}', b'{"sessions": []}'][len(targets) - 1]))

    with ScriptedServer(script, script) as server:
        pages = Api(server.url("", "http")).pages("/sessions", login="a@b", id=None)
        assert list(pages) == [([{"id": "1"}], ""), ([], "")]
    first = f"login=a%40b&limit={PAGE}"
    assert targets == [first, f"{first}&cursor=c%3D%26"]


@pytest.mark.parametrize(
    ("answer", "why", "status"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nno\x1b\nx\n", r"status 403\): no\\x1b$", 403),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no reason given", 404),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://u@other/?secret\r\nContent-Length: 0\r\n\r\n",
            "leads to https://other/,",
            301,
        ),
        (b"HTTP/1.1 103 x\r\n\r\n" * (MAX_INTERIM + 1) + CHUNKED, "interim answers", None),
        (ok(b"[]"), "not a reflector's", None),
        (ok(b"{"), "not a reflector's", None),
        (ok(b'{"sessions": 1}'), "no list of sessions", None),
        (ok(b'{"sessions": [1]}'), "no list of sessions", None),
        (ok(b'{"sessions": [], "next": ""}'), "no end", None),
        (ok(b'{"sessions": [], "next": 1}'), "no end", None),
        (b"SSH-2.0-x\r\n", "SSH-2.0-x", None),
        (b"", "closed connection without response", None),
    ],
)
def test_what_is_no_list(answer: bytes, why: str, status: int | None) -> None:
    with answering(answer) as server, pytest.raises(NoAnswer, match=why) as caught:
        Api(server.url("/below", "http")).sessions("/sessions")
    assert caught.value.http_status == status
    assert "secret" not in str(caught.value)


def test_a_request_is_signed(account: Account) -> None:
    seen = []

    def script(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(ok(b"{}"))

    with ScriptedServer(script) as server:
        Api(server.url("/below", "http"), account).ask("GET", "/jill/medusa/sessions")
    (request,) = seen
    assert request.target == "/below/jill/medusa/sessions"
    assert (request.headers.get("authorization") or "").startswith('Signature keyId="/jill/keys/')


def test_raw_tcp_has_no_lists() -> None:
    with pytest.raises(NoAnswer, match="raw TCP has no lists"):
        Api("tcp://127.0.0.1:1")


def test_nobody_listens() -> None:
    with pytest.raises(NoAnswer, match=r"http://localhost:1: .*refused"):
        Api("http://localhost:1").ask("GET", "/sessions")

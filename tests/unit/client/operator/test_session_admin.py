from __future__ import annotations

import socket

import pytest

from medusa.client.operator.session_admin import Administrator
from medusa.client.outcome import Failure
from tests.servers import ScriptedServer, read_request


def test_a_redirect_says_where_it_leads() -> None:
    def redirect(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 301 Moved\r\nLocation: https://u@other/sessions?secret\r\nContent-Length: 0\r\n\r\n")

    with (
        ScriptedServer(redirect) as server,
        pytest.raises(Failure, match="leads to https://other/sessions, ") as caught,
    ):
        list(Administrator(server.url("", "http")).pages())
    assert "secret" not in str(caught.value)


def test_a_reflector_that_cannot_be_reached_is_named_with_the_reason() -> None:
    with pytest.raises(Failure, match=r"localhost:1: .*Connection refused \("):
        list(Administrator("http://localhost:1").pages())


def test_a_session_that_has_not_begun_cannot_be_ended() -> None:
    def refuse(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with (
        ScriptedServer(refuse) as server,
        pytest.raises(Failure, match="the session 5d3e has not begun: its agent waits"),
    ):
        Administrator(server.url("", "http")).kill({"id": "5d3e", "state": "held"})

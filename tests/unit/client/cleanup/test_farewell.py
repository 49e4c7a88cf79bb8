from __future__ import annotations

import socket

import pytest

from medusa.client.cleanup.farewell import Farewell
from medusa.protocol.control import Linkup, Start, StreamAnswer, Wait, build, parse
from medusa.protocol.messages import Binary, Close, Text
from medusa.protocol.record import replace
from tests.blocking import blocking_websocket
from tests.servers import ScriptedServer, read_request, switching

STREAM = "5" * 32


def farewell(server: ScriptedServer) -> Farewell:
    url = server.url("/attach/4711/client", "http")
    return Farewell(url, [("Medusa-Ticket", "secret")], STREAM, 17, [], insecure_tls=False, embedded=False)


def test_the_agent_is_told_over_a_new_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medusa.client.cleanup.farewell.INTERVAL", 0.01)
    heard: list[object] = []

    def agent(sock: socket.socket) -> None:
        request = read_request(sock)
        heard.append(request.headers.get("medusa-ticket"))
        sock.sendall(switching(request))
        link = blocking_websocket(sock)
        for message in (Wait(), Linkup()):
            link.send(Text(build(message)))
        start = link.receive()
        assert isinstance(start, Text)
        heard.append(parse(start.text))
        link.send(Text(build(StreamAnswer(STREAM, 9, "a" * 32))))
        heard.extend([link.receive(), link.receive(), link.receive()])
        link.abort()

    def busy(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    with ScriptedServer(busy, agent) as server:
        said = replace(farewell(server), messages=[b"typed".hex(), b"detach".hex()])
        Farewell.parse(said.text).say()
    ticket, start, typed, detach, close = heard
    assert ticket == "secret"
    assert isinstance(start, Start)
    assert start.stream is not None
    assert (start.stream.id, start.stream.resume, start.stream.received) == (STREAM, True, 17)
    assert (typed, detach, close) == (Binary(b"typed"), Binary(b"detach"), Close(1000, "done"))


@pytest.mark.parametrize("status", [403, 410])
def test_a_session_that_has_ended_needs_no_farewell(status: int) -> None:
    def refuse(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

    with ScriptedServer(refuse) as server:
        farewell(server).say()


def test_it_gives_up() -> None:
    Farewell("http://127.0.0.1:1/attach/x/client", [], STREAM, 0, [], insecure_tls=False, embedded=False).say(0.0)


def test_a_reflector_that_ends_with_mlogin_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medusa.client.cleanup.farewell.INTERVAL", None)  # fails at a pause before another attempt
    Farewell("http://127.0.0.1:1/attach/x/client", [], STREAM, 0, [], insecure_tls=False, embedded=True).say()


def test_the_reflector_is_told_that_the_job_is_over() -> None:
    heard: list[object] = []

    def reflector(sock: socket.socket) -> None:
        sock.sendall(switching(read_request(sock)))
        link = blocking_websocket(sock)
        heard.append(link.receive())
        link.abort()

    with ScriptedServer(reflector) as server:
        replace(farewell(server), stream="").say()
    assert heard == [Close(4001, "the job is over")]

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.cleanup.undo import undo
from medusa.client.ledger import Ledger
from medusa.protocol.http.head import Request
from tests.servers import ScriptedServer, read_request
from tests.waiting import PATIENCE

CERTIFICATE = Path(__file__).parents[3] / "tls" / "localhost.pem"
HEADERS = {"Date": "today", "Authorization": 'Signature keyId="/jill/keys/x",signature="c2VjcmV0"'}


class Answering:
    """Answers one request and keeps it."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.requests: list[Request] = []

    def __call__(self, sock: socket.socket) -> None:
        self.requests.append(read_request(sock))
        sock.sendall(f"HTTP/1.1 {self._answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_it_goes_out_as_it_was_signed(method: str) -> None:
    server = Answering("202 Accepted")
    with ScriptedServer(server) as listening:
        url = listening.url("/jill/jobs/1/live/cancel", "http")
        SignedRequest.parse(SignedRequest(method, url, HEADERS).text()).send(PATIENCE)
    (request,) = server.requests
    assert (request.method, request.target) == (method, "/jill/jobs/1/live/cancel")
    assert {name: request.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert request.headers.get("host") == url.split("/")[2]
    assert request.headers.get("content-length") == ("0" if method == "POST" else None)


@pytest.mark.parametrize("answer", ["403 Forbidden", "302 Found\r\nLocation: http://127.0.0.1:1/"])
def test_an_answer_that_is_not_a_good_one(answer: str) -> None:
    with ScriptedServer(Answering(answer)) as listening:
        with pytest.raises(OSError, match=answer[:3]) as caught:
            SignedRequest("DELETE", listening.url("/x", "http"), HEADERS).send(PATIENCE)
        caught.value.close()  # type: ignore[attr-defined] # an HTTPError


@pytest.mark.parametrize("insecure", [False, True])
def test_a_certificate_counts_unless_the_user_said_otherwise(insecure: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = Answering("204 No Content")

    def secured(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            server(tls)

    with ScriptedServer(secured) as listening:
        request = SignedRequest("DELETE", listening.url("/x", "https"), HEADERS, insecure)
        if insecure:
            request.send(PATIENCE)
        else:
            with pytest.raises(OSError, match="certificate"):
                request.send(PATIENCE)
    assert len(server.requests) == insecure


def test_it_is_one_line_and_shows_nothing_by_accident() -> None:
    request = SignedRequest("DELETE", "http://manta/x", HEADERS)
    assert "\n" not in request.text()
    assert "c2VjcmV0" not in repr(request)


def test_the_guard_sends_what_is_left_open_and_bears_what_goes_wrong() -> None:
    lines: list[str] = []

    class Told:
        def record(self, line: str) -> None:
            lines.append(line)

        def done(self) -> None:
            raise NotImplementedError

    ledger, server = Ledger(Told()), Answering("204 No Content")
    with ScriptedServer(server) as listening:
        for url in ("http://127.0.0.1:1/nobody", listening.url("/x", "http")):
            ledger.add("request", SignedRequest("DELETE", url, HEADERS).text())
        ledger.add("request", json.dumps({"no": "request"}))
        undone = SignedRequest("DELETE", listening.url("/undone", "http"), HEADERS).text()
        ledger.add("request", undone)
        ledger.remove("request", undone)
        undo(lines)
    assert [request.target for request in server.requests] == ["/x"]

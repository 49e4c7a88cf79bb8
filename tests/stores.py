"""An HTTP server that stores objects, records every request, and fails as a test wants it to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.links import server_context
from tests.waiting import PATIENCE


class Seen(NamedTuple):
    """A request. Names of header fields are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


Script = Callable[["Handler"], None]


def refusal(status: int, code: str, message: str) -> Reply:
    """An error in the form of restify."""
    body = json.dumps({"code": code, "message": message}).encode()
    return Reply(status, body, (("Content-Type", "application/json"),))


def hang_up(handler: Handler) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True


class Store(ThreadingHTTPServer):
    """`replies` come first, one for each request. After that objects are stored and read."""

    daemon_threads = False

    def __init__(self, port: int, tls: bool) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = server_context().wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.seen: list[Seen] = []
        self.replies: list[Reply | Script] = []
        self.objects: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores errors: a client may leave, or not trust the certificate."""

    def reply(self, request: Seen) -> Reply:
        path = request.target.partition("?")[0]
        if request.method == "PUT":
            self.objects[path] = request.body
            return Reply(204)
        if path not in self.objects:
            return Reply(404)
        if request.method == "DELETE":
            del self.objects[path]
            return Reply(204)
        return Reply(200, self.objects[path])


class Handler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65536)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = (
            self._chunks() if "transfer-encoding" in headers else self.rfile.read(int(headers.get("content-length", 0)))
        )
        request = Seen(self.command, self.path, headers, body)
        self.server.seen.append(request)
        reply = self.server.replies.pop(0) if self.server.replies else self.server.reply(request)
        if callable(reply):
            reply(self)
        else:
            self.answer(reply)

    def answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in reply.headers) and reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def store(port: int = 0, tls: bool = False) -> Iterator[Store]:
    with Store(port, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(PATIENCE)

"""A server that answers as a test scripts it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType

from medusa.protocol.http.head import HeadReader, Request, parse_request
from medusa.protocol.websocket.handshake import accept_value
from tests.waiting import PATIENCE

Script = Callable[[socket.socket], None]


class ScriptedServer:
    """Accepts one connection on loopback for each script, and runs the script on it.

    An exception of a script is raised at the end, except OSError: the client may leave at any time.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def url(self, path: str = "/attach/x/slave", scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            self._listener.close()
        self._thread.join(PATIENCE)
        self._listener.close()
        assert not self._thread.is_alive()
        if self._failure is not None and kind is None:
            raise self._failure

    def _run(self) -> None:
        for script in self._scripts:
            try:
                sock, _ = self._listener.accept()
                with sock:
                    sock.settimeout(PATIENCE)
                    script(sock)
            except OSError:
                pass
            except BaseException as error:  # noqa: BLE001
                self._failure = error


def read_request(sock: socket.socket) -> Request:
    """Reads one request head. Fails if more than the head has arrived."""
    reader = HeadReader()
    while not (found := reader.feed(sock.recv(4096))):
        pass
    assert found[1] == b""
    return parse_request(found[0])


def switching(request: Request) -> bytes:
    """The 101 that accepts an upgrade."""
    accept = accept_value(request.headers.get("sec-websocket-key") or "")
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode()


def until_the_end(sock: socket.socket) -> bytes:
    """Everything that the client sends until its FIN."""
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data

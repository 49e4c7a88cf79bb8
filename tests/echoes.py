"""A server that echoes, and a connection that reaches it by what forwards connections."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import PATIENCE


class Echo(socketserver.BaseRequestHandler):
    """Sends everything back after the other end has ended its direction, with `> ` in front."""

    def handle(self) -> None:
        self.request.settimeout(PATIENCE)
        data = b""
        with contextlib.suppress(OSError):
            while more := self.request.recv(65536):
                data += more
            self.request.sendall(b"> " + data)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 512
    daemon_threads = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def echoing() -> Iterator[int]:
    """Serves at a port of loopback, which it gives."""
    server = _Server(("127.0.0.1", 0), Echo)
    with _serving(server):
        yield int(server.server_address[1])


def echoing_at(path: Path) -> contextlib.AbstractContextManager[None]:
    """Serves at a path."""
    return _serving(_UnixServer(str(path), Echo))


def through(address: int | str | Path, data: bytes = b"x") -> bytes:
    """What comes back over a new connection to a port or a path; see `exchange`."""
    with socket.socket(socket.AF_INET if isinstance(address, int) else socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", address) if isinstance(address, int) else str(address))
        return exchange(sock, data)


def exchange(sock: socket.socket, data: bytes) -> bytes:
    """What comes back after `data` and the end of this direction."""

    def send() -> None:
        with contextlib.suppress(OSError):  # a reset may come at any time: what has come back counts
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return b"".join(iter(lambda: sock.recv(65536), b""))
    finally:
        sender.join()

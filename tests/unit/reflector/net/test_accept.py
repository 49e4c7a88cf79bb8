"""The accept loop while only the reserve of descriptors is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from gevent import socket

from medusa.reflector.net import accept, fd_limit
from medusa.reflector.net.accept import PausingServer
from tests.unit.reflector.conftest import until
from tests.waiting import MS


class Reserve:
    """A server, and the number of the first descriptor that is in reserve for it."""

    def __init__(self) -> None:
        self.first = 0
        self.served: list[int] = []
        listener = socket.socket()  # not create_server, which is the standard library's: it blocks the loop
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.address = listener.getsockname()
        self.server = Server(listener, self._serve)
        self.server.start()

    def _serve(self, sock: Any, *_: object) -> None:
        self.served.append(sock.fileno())
        sock.close()

    def close(self) -> None:
        self.server.stop()


class Server(PausingServer):
    def let_in(self, sock: Any, address: tuple[Any, ...]) -> Any:
        return True


@pytest.fixture
def reserve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reserve]:
    monkeypatch.setattr(accept, "RETRY_INTERVAL", 10 * MS)
    with contextlib.closing(Reserve()) as reserve:
        for module in (accept, fd_limit):
            monkeypatch.setattr(module, "first_reserved", lambda: reserve.first)
        yield reserve


def test_a_connection_that_took_of_it_waits_and_is_served_under_a_lower_descriptor(reserve: Reserve) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.connect(reserve.address)
        until(lambda: reserve.server._held)
        second.connect(reserve.address)
        assert reserve.served == []
        reserve.first = 1000
        until(lambda: len(reserve.served) == 2)
    assert reserve.server._held is None


def test_a_connection_that_waits_ends_with_the_server(reserve: Reserve) -> None:
    with socket.socket() as peer:
        peer.connect(reserve.address)
        until(lambda: reserve.server._held)
        reserve.server.stop()
        assert peer.recv(1) == b""

"""The accept loop while only the reserve of descriptors is left, and the greenlets that serve connections."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import pytest
from gevent import socket

from medusa.reflector.net import accept, fd_limit
from medusa.reflector.net.accept import Greenlets, PausingServer
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


class TestGreenlets:
    def test_they_are_used_again(self) -> None:
        greenlets, ran = Greenlets(), list[tuple[int, Any]]()

        def note(number: int) -> None:
            ran.append((number, gevent.getcurrent()))

        for number in range(4):
            greenlets.spawn(note, number)
            until(lambda: len(ran) == number + 1)  # noqa: B023 - called at once
        assert [number for number, _ in ran] == [0, 1, 2, 3]
        assert len({id(greenlet) for _, greenlet in ran}) == 1

    def test_calls_at_the_same_time_have_greenlets_of_their_own_and_few_are_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(accept, "MOST_IDLE", 2)
        greenlets, begun, go = Greenlets(), list[weakref.ref[Any]](), gevent.event.Event()
        ended = list[int]()

        def wait() -> None:
            begun.append(weakref.ref(gevent.getcurrent()))
            go.wait()
            ended.append(1)

        for _ in range(5):
            greenlets.spawn(wait)
        until(lambda: len(begun) == 5)
        assert len({id(greenlet()) for greenlet in begun}) == 5
        go.set()
        until(lambda: len(ended) == 5 and sum(greenlet() is not None for greenlet in begun) == 2)

    def test_an_error_is_reported_and_the_greenlet_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        greenlets, errors, ran = Greenlets(), list[Any](), list[Any]()
        # Not handle_error: that decides whether the error ends the process, which the main greenlet would notice here.
        monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda *args: errors.append(args[1:3]))

        def fail() -> None:
            ran.append(gevent.getcurrent())
            raise ValueError("a bug")

        for number in (1, 2):
            greenlets.spawn(fail)
            until(lambda: len(errors) == number)  # noqa: B023 - called at once
        assert [(kind, str(error)) for kind, error in errors] == [(ValueError, "a bug")] * 2
        assert ran[0] is ran[1]

from __future__ import annotations

import dataclasses
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from medusa.client.outcome import Failure, Interrupted
from medusa.client.session.reconnect import Attacher
from medusa.client.session.session_url import Door
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from tests.servers import ScriptedServer, read_request, switching

EAGER = Timeouts(reconnect_interval=0.01)


@pytest.fixture
def signals() -> Iterator[Signals]:
    with Signals() as signals:
        yield signals


def accept(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))


class Refuse:
    def __init__(self, status: int) -> None:
        self._status = status

    def __call__(self, sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(f"HTTP/1.1 {self._status} No\r\nContent-Length: 0\r\n\r\n".encode())


def attacher(
    server: ScriptedServer, signals: Signals, timeouts: Timeouts = EAGER, *, embedded: bool = False
) -> Attacher:
    return Attacher(Door(server.url("", "http"), "4711"), signals, False, embedded=embedded, timeouts=timeouts)


@pytest.mark.parametrize("embedded", [False, True])
def test_a_refusal_is_told(signals: Signals, embedded: bool) -> None:
    with (
        ScriptedServer(Refuse(503)) as server,
        pytest.raises(Failure, match=r"cannot attach to .* \(HTTP status 503\)"),
    ):
        attacher(server, signals, embedded=embedded).attach()


def test_only_our_own_reflector_is_reached_past_the_proxy(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ScriptedServer(accept) as server:
        with pytest.raises(Failure, match="refused"):
            attacher(server, signals).attach()
        attacher(server, signals, embedded=True).attach().abort()


def test_a_reflector_may_be_away_or_still_hold_the_link_before(signals: Signals) -> None:
    def hang_up(sock: socket.socket) -> None:
        read_request(sock)

    with ScriptedServer(Refuse(409), Refuse(503), hang_up, Refuse(404), accept) as server:
        attacher(server, signals).attach_again().abort()


def test_a_reflector_that_is_away_for_too_long(signals: Signals) -> None:
    with ScriptedServer(Refuse(503)) as server, pytest.raises(Failure, match="503"):
        attacher(server, signals, dataclasses.replace(EAGER, reconnect_timeout=0.0)).attach_again()


def test_who_is_refused_for_good_does_not_try_again(signals: Signals) -> None:
    with ScriptedServer(Refuse(403)) as server, pytest.raises(Failure, match="403"):
        attacher(server, signals).attach_again()


def test_the_pause_can_be_interrupted(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with ScriptedServer() as server, pytest.raises(Interrupted):
        attacher(server, signals, Timeouts(reconnect_interval=1000.0)).attach_again()

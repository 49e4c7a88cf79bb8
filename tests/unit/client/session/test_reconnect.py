from __future__ import annotations

import dataclasses
import os
import signal
import socket
from collections.abc import Callable

import pytest

from medusa.client.outcome import Failure, Interrupted
from medusa.client.session.reconnect import Dialer
from medusa.client.session.session_url import SessionUrl
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from tests.servers import ScriptedServer, read_request, switching
from tests.waiting import MS

EAGER = Timeouts(reconnect_interval=0.01)


def accept(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))


class Refuse:
    def __init__(self, status: int, fields: str = "") -> None:
        self._status = status
        self._fields = fields

    def __call__(self, sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(f"HTTP/1.1 {self._status} No\r\n{self._fields}Content-Length: 0\r\n\r\n".encode())


def dialer(server: ScriptedServer, signals: Signals, timeouts: Timeouts = EAGER, *, embedded: bool = False) -> Dialer:
    return Dialer(SessionUrl(server.url("", "http"), "4711"), signals, False, embedded=embedded, timeouts=timeouts)


@pytest.mark.parametrize("embedded", [False, True])
def test_a_refusal_is_told(signals: Signals, embedded: bool) -> None:
    with (
        ScriptedServer(Refuse(503)) as server,
        pytest.raises(Failure, match=r"cannot attach to .* \(HTTP status 503\)"),
    ):
        dialer(server, signals, embedded=embedded).connect()


def test_only_our_own_reflector_is_reached_past_the_proxy(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ScriptedServer(accept) as server:
        with pytest.raises(Failure, match="refused"):
            dialer(server, signals).connect()
        dialer(server, signals, embedded=True).connect().abort()


def test_a_reflector_may_be_away_or_still_hold_the_link_before(signals: Signals) -> None:
    def hang_up(sock: socket.socket) -> None:
        read_request(sock)

    with ScriptedServer(Refuse(409), Refuse(503), hang_up, Refuse(404), accept) as server:
        dialer(server, signals).reconnect().abort()


def test_the_last_try_is_at_the_end_of_the_time_even_if_the_reflector_asks_for_more(signals: Signals) -> None:
    timeouts = dataclasses.replace(EAGER, reconnect_timeout=50 * MS)
    with ScriptedServer(Refuse(521, "Retry-After: 1000\r\n"), accept) as server:
        dialer(server, signals, timeouts).reconnect().abort()


def test_a_reflector_that_is_away_for_too_long(signals: Signals) -> None:
    with ScriptedServer(Refuse(503)) as server, pytest.raises(Failure, match="503"):
        dialer(server, signals, dataclasses.replace(EAGER, reconnect_timeout=0.0)).reconnect()


def test_who_is_refused_for_good_does_not_try_again(signals: Signals) -> None:
    with ScriptedServer(Refuse(403)) as server, pytest.raises(Failure, match="403"):
        dialer(server, signals).reconnect()


def test_the_pause_can_be_interrupted(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with ScriptedServer() as server, pytest.raises(Interrupted):
        dialer(server, signals, Timeouts(reconnect_interval=1000.0)).reconnect()


def answers(answer: bytes, seen: list[bytes]) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        seen.append(sock.recv(1000))
        sock.sendall(answer)

    return serve


@pytest.mark.parametrize(
    ("refusal", "greetings"),
    [
        (b"ERR 400 not a greeting\n", [b" features=notice\n", b"\n"]),
        (b"ERR 404 no such session\n", [b" features=notice\n"]),
    ],
)
def test_an_older_raw_port_knows_no_features(signals: Signals, refusal: bytes, greetings: list[bytes]) -> None:
    seen: list[bytes] = []
    with ScriptedServer(*[answers(answer, seen) for answer in (refusal, b"OK\n")[: len(greetings)]]) as server:
        url = SessionUrl(server.url("", "tcp"), "4711")
        dialer = Dialer(url, signals, False, embedded=False, timeouts=EAGER)
        if len(greetings) == 1:
            with pytest.raises(Failure, match="404"):
                dialer.connect()
        else:
            dialer.connect().abort()
    host = server.url("", "tcp").removeprefix("tcp://").encode()
    assert seen == [b"MEDUSA/1 /attach/4711/master " + host + end for end in greetings]

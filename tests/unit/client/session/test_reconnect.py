from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from medusa.client.keys.account import Account
from medusa.client.keys.keyring import Keyring, default_keys
from medusa.client.keys.ssh_config import KeyOptions
from medusa.client.outcome import Failure, Interrupted
from medusa.client.session.reconnect import Dialer
from medusa.client.session.session_url import SessionUrl
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from medusa.protocol.record import replace
from medusa.transports.dial import ConnectRefused
from medusa.transports.steps import run
from tests.servers import ScriptedServer, read_request, switching
from tests.signing import Keys, write_key
from tests.waiting import MS, PATIENCE

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
    timeouts = replace(EAGER, reconnect_timeout=300 * MS)
    with ScriptedServer(Refuse(521, "Retry-After: 1000\r\n"), accept) as server:
        dialer(server, signals, timeouts).reconnect().abort()


def test_a_reflector_that_is_away_for_too_long(signals: Signals) -> None:
    with ScriptedServer(Refuse(503)) as server, pytest.raises(Failure, match="503"):
        dialer(server, signals, replace(EAGER, reconnect_timeout=0.0)).reconnect()


def test_who_is_refused_for_good_does_not_try_again(signals: Signals) -> None:
    with ScriptedServer(Refuse(403)) as server, pytest.raises(Failure, match="403"):
        dialer(server, signals).reconnect()


def test_the_pause_can_be_interrupted(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with ScriptedServer() as server, pytest.raises(Interrupted):
        dialer(server, signals, Timeouts(reconnect_interval=1000.0)).reconnect()


@pytest.fixture
def keyring(tmp_path: Path, keys: Keys) -> Keyring:
    files = [write_key(tmp_path / kind, keys[kind]) for kind in ("ed25519", "rsa")]
    return default_keys(KeyOptions(None, files=tuple(files)))


class Noting:
    """Answers one request, and remembers its path and the name of its key."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.target, self.key = "", ""

    def __call__(self, sock: socket.socket) -> None:
        request = read_request(sock)
        self.target = request.target
        self.key = (request.headers.get("authorization") or "").partition('"')[2].partition('"')[0]
        sock.sendall(switching(request) if self._status == 101 else b"HTTP/1.1 %d No\r\n\r\n" % self._status)


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("unsigned", [False, True])
def test_one_key_after_another_until_one_is_accepted(
    signals: Signals, keyring: Keyring, keys: Keys, status: int, unsigned: bool
) -> None:
    account = Account("jill", None, keyring)
    tries = [*([Noting(status)] if unsigned else []), Noting(status), Noting(101)]
    with ScriptedServer(*tries, Refuse(status)) as server:
        url = SessionUrl(server.url("", "http"), "4711", None if unsigned else account)
        dialer = Dialer(url, signals, False, embedded=False, timeouts=EAGER, find_account=lambda: account)
        dialer.connect().abort()
        assert [request.key for request in tries[-2:]] == [f"/jill/keys/{keys[k].md5}" for k in ("ed25519", "rsa")]
        if unsigned:
            assert (tries[0].target, tries[0].key) == ("/attach/4711/master", "")
        assert "/jill/" in dialer.url.agent_url(60)
        with pytest.raises(Failure, match=f"HTTP status {status}"):
            dialer.connect()  # the accepted key stays: no other is tried


def test_other_refusals_are_not_about_the_key(signals: Signals, keyring: Keyring) -> None:
    with ScriptedServer(Refuse(429)) as server:
        url = SessionUrl(server.url("", "http"), "4711", Account("jill", None, keyring))
        dialer = Dialer(url, signals, False, embedded=False, timeouts=EAGER)
        with pytest.raises(Failure, match="429"):
            dialer.connect()


def test_who_has_no_key_learns_why_one_is_needed(signals: Signals) -> None:
    def find() -> Account:
        raise Failure("no key to sign with")

    with ScriptedServer(Refuse(403)) as server:
        url = SessionUrl(server.url("", "http"), "4711")
        dialer = Dialer(url, signals, False, embedded=False, timeouts=EAGER, find_account=find)
        with pytest.raises(Failure, match=r"status 403.*\n  no key to sign with"):
            dialer.connect()


class TestComingBack:
    """A session whose link was lost: the reflector is asked with the ticket."""

    @staticmethod
    def granted(sock: socket.socket, ticket: str = "first") -> None:
        request = read_request(sock)
        sock.sendall(switching(request).replace(b"Upgrade: ", b"Medusa-Ticket: %s\r\nUpgrade: " % ticket.encode(), 1))

    def test_with_the_last_ticket(self, signals: Signals) -> None:
        heard = []

        def again(sock: socket.socket) -> None:
            request = read_request(sock)
            heard.append([request.headers.get(name) for name in ("medusa-features", "medusa-join", "medusa-ticket")])
            sock.sendall(switching(request))

        with ScriptedServer(self.granted, again, again) as server:
            one = dialer(server, signals)
            assert not one.returns
            one.connect().abort()
            assert one.returns
            for ticket in ("first", "second"):
                run(one.attempt(time.monotonic() + PATIENCE)).abort()
                assert heard.pop() == ["notice,hold", "1", ticket]
                one.take_ticket("second")

    def test_signed_after_the_ticket_was_refused(self, signals: Signals, account: Account) -> None:
        heard = []

        def again(sock: socket.socket) -> None:
            request = read_request(sock)
            heard.extend([request.headers.get("medusa-ticket"), request.headers.get("authorization")])
            sock.sendall(switching(request))

        with ScriptedServer(self.granted, Refuse(403), again) as server:
            one = Dialer(SessionUrl(server.url("", "http"), "4711", account), signals, False, embedded=False)
            one.connect().abort()
            with pytest.raises(ConnectRefused):
                run(one.attempt(time.monotonic() + PATIENCE))
            assert one.refused()
            run(one.attempt(time.monotonic() + PATIENCE)).abort()
        assert heard[0] is None
        assert heard[1] is not None
        assert heard[1].startswith("Signature")
        assert not one.refused()

    @pytest.mark.parametrize(("keep", "announced"), [(0, ("notice", None)), (7200, ("notice,hold", "7200"))])
    def test_what_is_announced_says_for_how_long_mlogin_comes_back(
        self, signals: Signals, keep: int, announced: tuple[str, str | None]
    ) -> None:
        heard = []

        def once(sock: socket.socket) -> None:
            request = read_request(sock)
            heard.append((request.headers.get("medusa-features"), request.headers.get("medusa-hold")))
            sock.sendall(switching(request))

        with ScriptedServer(once) as server:
            url = SessionUrl(server.url("", "http"), "4711", keep=keep)
            Dialer(url, signals, False, embedded=False).connect().abort()
        assert heard == [announced]

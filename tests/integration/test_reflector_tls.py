"""The reflector with --tls-cert: all that its wire promises once more, and what only TLS can do to it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest

from medusa.transports.tls import Tls, TlsSocket
from tests.integration import test_reflector_http as http
from tests.integration import test_reflector_session as sessions
from tests.links import CERTIFICATE, client_context
from tests.peers import BINARY, LINKUP, TEXT, Peer, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.waiting import MS, PATIENCE, wait_until
from tests.witnesses import Witness

OPTIONS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))
PLAIN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
MIB = 1 << 20
CLOGGED = 200 * MS
"""What takes nothing for so long is full."""
SIZES = (1, 50_000, 2, 0, 3, 15_000, 4, 5)
SMALL = [b"%d" % number for number in range(3000)]


REFLECTOR_OPTIONS = OPTIONS


class TestUpgrade(http.TestUpgrade):
    """Over TLS."""


class TestForwarding(sessions.TestForwarding):
    """Over TLS."""


class TestEnds(sessions.TestEnds):
    """Over TLS."""


# ---------------------------------------------------------------------- bytes that TLS holds, and no poll reports


class Records(Peer):
    """A peer that says where its records and its segments begin."""

    def __init__(self, reflector: Reflector) -> None:
        self.plain = reflector.dial()
        self.tls = Tls(client_context(), "localhost")
        super().__init__(cast("socket.socket", TlsSocket(self.plain, self.tls)))

    def __enter__(self) -> Records:
        return self

    def greet_with(self, *records: bytes) -> None:
        """Sends `records` in one segment with the end of the handshake."""
        heard = b""
        while not self.tls.handshake(heard):
            self.plain.sendall(self.tls.replies())
            heard = self.plain.recv(65536)
        self.plain.sendall(self.tls.replies() + self.encrypted(*records))
        assert self.head().status == 101

    def encrypted(self, *records: bytes) -> bytes:
        return b"".join(map(self.tls.encrypt, records))


@contextlib.contextmanager
def records_pair(reflector: Reflector, *early: bytes) -> Iterator[tuple[Peer, Records]]:
    """A client, and an agent whose `early` records come with its upgrade."""
    session = new_id()
    with reflector.attach(session, "master") as client, Records(reflector) as agent:
        agent.greet_with(upgrade(f"/attach/{session}/slave"), *early)
        client.linked()
        agent.expect(TEXT, LINKUP)
        yield client, agent


class TestNothingIsLeftLying:
    def test_many_small_records_behind_the_upgrade(self, reflector: Reflector) -> None:
        with records_pair(reflector, *(frame(BINARY, data) for data in SMALL)) as (client, _):
            for data in SMALL:
                client.expect(BINARY, data)

    def test_frames_in_the_record_of_the_head_and_in_the_next(self, reflector: Reflector) -> None:
        session = new_id()
        head = upgrade(f"/attach/{session}/slave")
        with reflector.attach(session, "master") as client, Records(reflector) as agent:
            agent.greet_with(head + frame(BINARY, b"in it") + frame(TEXT, b"half")[:3], frame(TEXT, b"half")[3:])
            client.linked()
            client.expect(BINARY, b"in it")
            client.expect(TEXT, b"half")

    def test_records_that_wait_for_a_reader(self, reflector: Reflector) -> None:
        with records_pair(reflector) as (client, agent):
            wire = agent.encrypted(*(frame(BINARY, bytes(size)) for size in SIZES * 300))
            agent.plain.settimeout(None)
            sender = Thread(target=agent.plain.sendall, args=(wire,))
            sender.start()
            try:
                wait_until(lambda: not select.select([], [agent.plain], [], CLOGGED)[1])
                wait_until(reflector.rests)
                for size in SIZES * 300:
                    client.expect(BINARY, bytes(size))
            finally:
                client.close()
                sender.join()

    def test_the_end_of_a_peer_that_broke_the_rules_is_found_behind_what_is_dropped(self) -> None:
        patient = {"close_timeout": 1000.0}
        with running(*OPTIONS, timeouts=patient) as reflector, records_pair(reflector) as (client, agent):
            junk = agent.encrypted(b"\x7f\x7f", *(frame(BINARY, data) for data in SMALL))
            agent.plain.sendall(junk + agent.tls.close())
            agent.plain.shutdown(socket.SHUT_WR)
            assert client.closed()[0] == 1000
            wait_until(lambda: reflector.logged("session ended"))

    def test_a_loop_with_nothing_to_do_rests(self, reflector: Reflector) -> None:
        with records_pair(reflector) as (client, agent):
            agent.plain.sendall(agent.encrypted(frame(BINARY, b"whole"))[:-1])  # the rest of the record never comes
            assert client.quiet()
            wait_until(reflector.rests)


# ---------------------------------------------------------------------- handshakes that come to nothing


def hello() -> bytes:
    """The first bytes of a client."""
    tls = Tls(client_context(), "localhost")
    assert not tls.handshake()
    return tls.replies()


@pytest.fixture
def plain(reflector: Reflector) -> Iterator[Peer]:
    """A connection on which no TLS was spoken yet."""
    with Peer(reflector.dial()) as peer:
        yield peer


def told(reflector: Reflector, msg: str, before: int) -> dict[str, Any]:
    """The one line of this kind that was added."""
    (entry,) = wait_until(lambda: reflector.logged(msg)[before:], msg)
    return entry


class TestHandshakes:
    @pytest.mark.parametrize("sent", [PLAIN, b"\0\1\2\3" * 9000], ids=["http", "garbage"])
    def test_plain_text_is_told_that_https_is_spoken(self, reflector: Reflector, plain: Peer, sent: bytes) -> None:
        before = len(reflector.logged("request refused"))
        plain.send(sent)
        answer = plain.answer()
        assert (answer.status, answer.headers["content-type"]) == (400, "text/plain")
        assert answer.rest.count(b"\n") == 1
        assert b"https is spoken here" in answer.rest
        assert "https" in told(reflector, "request refused", before)["reason"]

    def test_silence(self) -> None:
        """No part of it may take longer than a head."""
        with (
            running(*OPTIONS, timeouts={"head_timeout": 1.5}) as reflector,
            Peer(reflector.dial()) as silent,
            Peer(reflector.dial()) as half,
            reflector.open() as secure,
        ):
            half.send(hello()[:50])
            assert silent.answer().status == secure.answer().status == 408
            assert half.until_fin() == b""
            assert "in 1.5 s" in told(reflector, "handshake failed", 0)["reason"]
            assert [entry["status"] for entry in reflector.logged("request refused")] == [408, 408]

    def test_http_1_1_is_agreed_on_and_the_end_is_told(self, reflector: Reflector) -> None:
        """By close_notify: an answer that was cut short can be told from a whole one."""
        context = client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            reflector.dial() as sock,
            context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as secure,
        ):
            assert secure.selected_alpn_protocol() == "http/1.1"
            secure.sendall(PLAIN)
            assert Peer(secure).answer().status == 200


# ---------------------------------------------------------------------- resumption


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_of_tls_may_be_resumed_until_the_certificate_is_read_again(version: ssl.TLSVersion) -> None:
    context = client_context()
    context.maximum_version = version

    def connect(before: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession]:
        """Whether the connection resumes `before`, and its own session."""
        secure = context.wrap_socket(reflector.dial(), server_hostname="localhost", session=before)
        with Peer(secure) as peer:
            peer.send(PLAIN)
            assert peer.answer().status == 200
            return bool(secure.session_reused), cast(ssl.SSLSession, secure.session)

    with running(*OPTIONS) as reflector:
        resumed, session = connect(None)
        assert not resumed
        assert connect(session)[0]
        reflector.signal(signal.SIGHUP)
        wait_until(lambda: len(reflector.logged("certificate loaded")) == 2)
        assert not connect(session)[0]


# ---------------------------------------------------------------------- its certificate


def new_certificate(path: Path) -> Path:
    """Another for localhost, with its key."""
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command = ["openssl", *words.split(), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


def shown(reflector: Reflector) -> str:
    """The certificate that a new connection sees."""
    return ssl.get_server_certificate(("127.0.0.1", reflector.port), timeout=PATIENCE)


class TestReloading:
    def test_for_new_connections_alone(self, tmp_path: Path) -> None:
        live, other = tmp_path / "live.pem", new_certificate(tmp_path / "other.pem")
        shutil.copy(CERTIFICATE, live)
        live.chmod(0o600)
        options = ("--tls-cert", str(live), "--tls-key", str(live))
        with running(*options) as reflector, reflector.pair() as (client, agent):
            assert not [entry for entry in reflector.log if entry["level"] > 30], "warnings"
            old = shown(reflector)
            os.replace(other, live)
            reflector.signal(signal.SIGHUP)
            wait_until(lambda: len(reflector.logged("certificate loaded")) == 2)
            assert shown(reflector) != old
            assert shown(reflector).strip() in live.read_text()
            Witness(client, agent).check()
            reflector.tls = ssl.create_default_context(cafile=str(live))
            with reflector.pair() as newer:
                Witness(*newer).check()
                Witness(client, agent).check()

    def test_without_tls_there_is_nothing_to_reload(self) -> None:
        with running() as reflector, reflector.pair() as pair:
            reflector.signal(signal.SIGHUP)
            wait_until(lambda: reflector.logged("nothing to reload"))
            Witness(*pair).check()

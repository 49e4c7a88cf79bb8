"""Peers that have not identified themselves: how many may be there, and that others get in beside them."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.integration.test_workers_tls import proxied_pair
from tests.links import CERTIFICATE
from tests.peers import Peer, close_frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.waiting import MS, PATIENCE, Deadline, wait_until
from tests.witnesses import Witness

PROXY = "127.0.0.2"
TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))
BEHIND_PROXY = ("--trusted-network", "--trusted-proxy", PROXY, "--proxy-protocol")


def proxied(client: str) -> bytes:
    return f"PROXY {'TCP6' if ':' in client else 'TCP4'} {client} {client} 40000 443\r\n".encode()


@contextlib.contextmanager
def crowd(reflector: Reflector, size: int, client: str, says: bytes, port: int = 0) -> Iterator[list[socket.socket]]:
    """So many connections of one client of the proxy, which say so much and wait."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(size):
            address = ("127.0.0.1", port or reflector.port)
            sock = stack.enter_context(socket.create_connection(address, PATIENCE, (PROXY, 0)))
            sock.sendall(proxied(client) + says)
            sock.setblocking(False)
            socks.append(sock)
        yield socks


def is_open(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1000))
    except BlockingIOError:
        return True
    except OSError:
        return False


def enter(reflector: Reflector, client: str) -> Peer:
    sock = reflector.dial(PROXY)
    sock.sendall(proxied(client))
    peer = Peer(reflector.tls.wrap_socket(sock, server_hostname="localhost") if reflector.tls else sock)
    peer.send(upgrade(f"/attach/{new_id()}/master"))
    return peer


@pytest.mark.parametrize(
    ("options", "says", "client"),
    [
        ((), b"GET / HTTP/1.1\r\n", "2001:db8::9"),
        (TLS, b"\x16\x03\x01\x02", "203.0.113.9"),
        (("--raw-port", "0"), b"MEDUSA/1 ", "203.0.113.9"),
        (("--workers", "2", *TLS), b"", "203.0.113.9"),
    ],
    ids=["half a head", "half a handshake", "raw", "workers"],
)
def test_one_address_takes_its_own_places_only(options: tuple[str, ...], says: bytes, client: str) -> None:
    with running(*BEHIND_PROXY, *options, "--per-source-max-startups", "4") as reflector, reflector.pair() as pair:
        with crowd(reflector, 12, client, says, reflector.raw_port) as socks:
            wait_until(lambda: sum(map(is_open, socks)) <= 4)
            with enter(reflector, "198.51.100.1") as other:
                assert other.head().status == 101
            Witness(*pair).check()
            dropped = b'medusa_connections_dropped_total{reason="source"} 8.0'
            assert dropped in reflector.get("/metrics").rest or "--workers" in options
        wait_until(lambda: reflector.logged("connection dropped", client=client))


def test_a_client_that_x_forwarded_for_names_is_refused() -> None:
    options = ["--trusted-network", "--trusted-proxy", PROXY, "--per-source-max-startups", "1"]
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    with running(*options) as reflector, reflector.open(request, PROXY) as first:
        assert first.head().status == 200
        answer = reflector.ask(request, PROXY)  # the first does not hang up
        assert (answer.status, answer.headers["retry-after"]) == (429, "5")
        assert reflector.ask(request.replace(b"113.9", b"113.8"), PROXY).status == 200


def test_loopback_is_bounded_in_all() -> None:
    with running("--max-startups", "2") as reflector, reflector.pair() as pair:
        with reflector.open(), reflector.open():
            wait_until(lambda: reflector.logged("connection dropped") or reflector.ask(b"").status == 503)
            Witness(*pair).check()
        wait_until(lambda: served(reflector))


def served(reflector: Reflector) -> bool:
    with contextlib.suppress(OSError, AssertionError):
        return reflector.get("/healthz").status == 200
    return False


def test_they_leave_descriptors_to_others() -> None:
    with running(limits=(160, 160), check=False) as reflector, reflector.pair() as pair:
        with contextlib.ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(reflector.open())
            wait_until(lambda: reflector.logged("connection dropped"))
            assert reflector.descriptors() < 110
            Witness(*pair).check()
        assert not reflector.logged("accepting paused")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nA\0b: c\r\n", b"GET / HTTP/1.1\r\n folded", b"GET /\x01", b"{"])
def test_a_head_that_can_never_be_legal_is_refused_at_once(reflector: Reflector, data: bytes) -> None:
    with reflector.open(data) as peer:
        assert peer.answer().status == 400


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: h\n\n", b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"],
)
def test_a_head_that_never_ends_is_refused_at_once(reflector: Reflector, data: bytes) -> None:
    with reflector.open(data) as peer:
        answer = peer.answer()
    assert (answer.status, answer.rest) == (400, b"a line of the head does not end with CR LF\n")


def test_forged_signatures_of_administrators_are_counted() -> None:
    options = ["--trusted-network", "--trusted-proxy", PROXY, "--max-connects-per-minute", "2", "--accounts", "."]
    forged = b'Authorization: Signature keyId="/a/keys/b",algorithm="rsa-sha256",signature="eA=="\r\n'
    request = b"GET /sessions HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n" + forged + b"\r\n"
    with running(*options, "--admins", "a") as reflector:
        assert [reflector.ask(request, PROXY).status for _ in range(3)] == [401, 401, 429]


def test_failed_handshakes_leave_few_lines() -> None:
    with running(*TLS, timeouts={"refusal_log_rate": 1}) as reflector:
        for _ in range(4):
            with contextlib.suppress(ssl.SSLError, OSError), reflector.dial() as sock:
                sock.sendall(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00")  # a hello of a server
                while sock.recv(1000):
                    pass
        assert len(reflector.logged("handshake failed")) == 1


@pytest.mark.parametrize("options", [TLS, ("--workers", "2", *TLS)], ids=["tls", "workers"])
def test_a_byte_now_and_then_keeps_no_connection_after_its_session(options: tuple[str, ...]) -> None:
    times = {"close_timeout": 0.3, "linger_timeout": 0.3}
    with running(*options, timeouts=times, check=False) as reflector, contextlib.ExitStack() as stack:
        if "--workers" in options:
            client, agent, _ = stack.enter_context(proxied_pair(reflector))
        else:
            client, agent = stack.enter_context(reflector.pair())
        before = reflector.descriptors()
        agent.send(close_frame(1000, "done"))
        deadline = Deadline()
        while reflector.descriptors() >= before and not deadline.passed:
            with contextlib.suppress(OSError):
                client.sock.sendall(b"x")
            with contextlib.suppress(AssertionError):
                wait_until(lambda: False, seconds=20 * MS)
        wait_until(lambda: reflector.descriptors() < before - 1, "the end of both connections")

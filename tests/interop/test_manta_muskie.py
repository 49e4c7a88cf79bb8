"""The stand-in for Manta's front door: who is let through, what the reflector sees, and which ends pass."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from threading import Event

import pytest

from tests.interop.manta_users import User, connected
from tests.manta.stand_in import Manta, manta
from tests.peers import KEY, LINKUP, TEXT, Peer, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.servers import Script, ScriptedServer, read_request, switching, until_the_end
from tests.signing import Key, attach_path, authorization, date, signed_target
from tests.waiting import MS, PATIENCE, wait_until


def attach_request(host: str, key: Key, owner: str, session: str, **changed: str | None) -> bytes:
    """As npm's mlogin sends it."""
    when = date()
    target = attach_path("jill", session, "master")
    signed = authorization(key, owner, target, host, when, names=("date",))
    return upgrade(target, **{"host": host, "date": when, "authorization": signed, **changed})


@pytest.fixture(scope="module")
def internal() -> Iterator[Reflector]:
    with running() as reflector:
        yield reflector


def test_muskie_joins_both_sides(internal: Reflector, key: Key) -> None:
    session = new_id()
    with manta(reflector_url=f"http://127.0.0.1:{internal.port}") as store:
        store.add_key("jill", key.line)
        host = User(store.url, None).host
        with connected(host) as client, connected(host) as agent:
            client.send(attach_request(host, key, "jill", session))
            assert client.head().headers["connection"] == "Upgrade"
            target = signed_target(key, "jill", attach_path("jill", session, "slave"), host)
            agent.send(upgrade(target, host=host))
            assert agent.head().status == 101
            wait_until(lambda: internal.states().get(session) == "forwarding", "the link")
            agent.expect(TEXT, LINKUP)
            client.fin()
            assert agent.closed() == (1000, "remote connection reset")


def test_muskie_refuses_strangers_and_plain_requests(internal: Reflector, key: Key) -> None:
    other = Key("ed25519")
    with manta(reflector_url=f"http://127.0.0.1:{internal.port}") as store:
        store.add_key("jill", key.line)
        store.add_key("bob", other.line)
        host = User(store.url, None).host
        refusals = {
            401: attach_request(host, key, "jill", "x", authorization=None),
            403: attach_request(host, other, "bob", "x"),
            400: attach_request(host, key, "jill", "x", upgrade=None),
        }
        for status, request in refusals.items():
            with connected(host) as peer:
                peer.send(request)
                assert peer.head().status == status
        # What the reflector refuses is a 500 to the client, whatever it was.
        with connected(host) as peer:
            peer.send(upgrade(signed_target(key, "jill", attach_path("jill", "x", "slave"), host), host=host))
            assert peer.head().status == 500
    assert internal.sessions() == []


def answers_with_a_list(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\n\r\n")


def resets(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def is_silent(sock: socket.socket) -> None:
    sock.sendall(switching(read_request(sock)))
    until_the_end(sock)


@contextlib.contextmanager
def attached(store: Manta, key: Key) -> Iterator[Peer]:
    """A client that has sent its request."""
    store.add_key("jill", key.line)
    host = User(store.url, None).host
    with connected(host) as client:
        client.send(attach_request(host, key, "jill", "an-id"))
        yield client


def test_the_head_that_the_reflector_sees(key: Key) -> None:
    heads: list[bytes] = []

    def hangs_up(sock: socket.socket) -> None:
        heads.append(sock.recv(4096))

    with (
        ScriptedServer(hangs_up) as reflector,
        manta(reflector_url=f"http://127.0.0.1:{reflector.port}") as store,
        attached(store, key) as client,
    ):
        assert client.head().status == 500
    lines = ["GET /attach/an-id/master HTTP/1.1", "connection: upgrade", "upgrade: websocket"]
    lines += [f"sec-websocket-key: {KEY}", f"Host: 127.0.0.1:{reflector.port}", "", ""]
    assert heads == ["\r\n".join(lines).encode()]


def test_an_answer_that_muskie_does_not_take(key: Key) -> None:
    with (
        ScriptedServer(answers_with_a_list) as reflector,
        manta(reflector_url=f"http://127.0.0.1:{reflector.port}") as store,
        attached(store, key) as client,
    ):
        assert client.head().status == 500


def test_a_reset_by_the_reflector_does_not_reach_the_client(key: Key) -> None:
    reset = Event()

    def resets_and_tells(sock: socket.socket) -> None:
        resets(sock)
        reset.set()

    with (
        ScriptedServer(resets_and_tells) as reflector,
        manta(reflector_url=f"http://127.0.0.1:{reflector.port}") as store,
        attached(store, key) as client,
    ):
        assert client.head().status == 101
        client.send(b"x")
        assert reset.wait(PATIENCE)
        assert client.quiet(250 * MS)


@pytest.mark.parametrize("script", [is_silent, resets])
def test_a_socket_that_is_still_is_destroyed(key: Key, script: Script) -> None:
    with (
        ScriptedServer(script) as reflector,
        manta(reflector_url=f"http://127.0.0.1:{reflector.port}", idle_limit=300 * MS) as store,
        attached(store, key) as client,
    ):
        assert client.head().status == 101
        client.send(b"x")
        assert client.until_fin() == b""


def test_another_front_door_gets_the_head_byte_for_byte(key: Key) -> None:
    heads: list[bytes] = []

    def door(sock: socket.socket) -> None:
        heads.append(sock.recv(4096))
        sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nno")

    with ScriptedServer(door) as other, manta(front_door=f"http://127.0.0.1:{other.port}") as store:
        host = User(store.url, None).host
        request = attach_request(host, key, "mallory", "x", x_odd="  spaced ")
        with connected(host) as client:
            client.send(request)
            assert (client.head().status, client.until_fin()) == (401, b"no")
    assert heads == [request]

"""What one worker does with the others, as far as that needs no second process."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

import gevent
import gevent.socket
import pytest
from structlog.types import EventDict

from medusa.protocol.errors import HandshakeError
from medusa.reflector.net import fd_limit
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP, RAW
from medusa.reflector.session_name import SessionName
from medusa.reflector.workers.fd_channel import Message, pack, receive, send
from medusa.reflector.workers.handoff import unwatch
from medusa.reflector.workers.sharding import owner_of
from medusa.session import Side
from tests.links import unix_pair
from tests.unit.reflector.conftest import until
from tests.unit.reflector.workers.conftest import KEY, TwoWorkers, empty
from tests.waiting import MS
from tests.workers import watched

ADDRESS = ("192.0.2.1", 4711)
NAMES = [SessionName(f"job-{number}") for number in range(100)]

Connection = tuple[socket.socket, socket.socket]


def accepted_here(sock: socket.socket) -> Accepted:
    return Accepted(HTTP, sock, ADDRESS, proxied=True, data=b"GET / ...")


def name_of(two: TwoWorkers, owner: int | None) -> SessionName:
    """A session that this worker owns."""
    return next(name for name in NAMES if two.handoff.owner(name) == owner)


def test_each_name_has_one_owner(two: TwoWorkers) -> None:
    owners = [two.handoff.owner(name) for name in NAMES]
    assert set(owners) == {None, 2}
    assert owners == [None if owner_of(name, KEY, 2) == 1 else 2 for name in NAMES]


def test_a_session_of_this_worker_stays(two: TwoWorkers, connection: Connection) -> None:
    accepted = accepted_here(connection[1])
    assert two.handoff.hand_over(accepted, name_of(two, None), Side.AGENT) is False
    assert not accepted.taken


def test_a_session_of_another_worker_is_handed_over(two: TwoWorkers, connection: Connection) -> None:
    peer, sock = connection
    accepted = accepted_here(sock)
    assert two.handoff.hand_over(accepted, name_of(two, 2), Side.AGENT) is True
    assert accepted.taken
    assert sock.fileno() == -1
    packet, fd = receive(two.inbox)
    assert packet == pack(Message(HTTP, ADDRESS, b"GET / ...", proxied=True))
    with socket.socket(fileno=fd) as handed:
        handed.sendall(b"here")
        assert peer.recv(10) == b"here"


@pytest.mark.parametrize("timeout", [50 * MS])
def test_a_full_inbox_blocks_no_other_greenlet_and_then_refuses(
    two: TwoWorkers, connection: Connection, logs: list[EventDict]
) -> None:
    two.fill()
    other = gevent.spawn(lambda: "ran")
    with pytest.raises(HandshakeError) as refused:
        two.handoff.hand_over(accepted_here(connection[1]), name_of(two, 2), Side.AGENT)
    assert (refused.value.http_status, refused.value.headers) == (503, (("Retry-After", "5"),))
    assert connection[1].fileno() >= 0, "the refusal has to be written to it"
    assert [entry["event"] for entry in logs] == ["connection not handed over"]
    assert other.value == "ran"


def test_a_socket_pair_for_tls_leaves_the_reserve_of_descriptors(
    two: TwoWorkers, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fd_limit, "first_reserved", lambda: 0)
    with pytest.raises(HandshakeError, match="does not answer"):
        two.handoff._ask(2, Message(HTTP, ADDRESS))
    with pytest.raises(BlockingIOError):
        receive(two.inbox)


def test_a_full_inbox_that_is_read_in_time(two: TwoWorkers, connection: Connection) -> None:
    two.fill()
    gevent.spawn_later(20 * MS, empty, two.inbox)
    two.handoff.send(2, Message(HTTP, ADDRESS), connection[1])


def test_a_connection_is_taken_over(two: TwoWorkers, connection: Connection) -> None:
    peer, accepted = connection
    came: list[Accepted] = []

    def serve(connection: Accepted) -> None:
        with contextlib.closing(connection.sock):
            connection.sock.sendall(b"hello")
            came.append(connection)

    two.handoff.fronts[RAW] = serve
    two.start()
    send(two.to_first, pack(Message(RAW, ADDRESS, b"what was read", proxied=True)), accepted.fileno())
    until(lambda: came)
    assert came == [Accepted(RAW, came[0].sock, ADDRESS, proxied=True, data=b"what was read", handed_over=True)]
    assert peer.recv(10) == b"hello"


@pytest.mark.parametrize("packet", [b"", b"nonsense", pack(Message("no such listener", ADDRESS))])
def test_a_packet_that_is_not_understood_is_logged_and_its_connection_closed(
    two: TwoWorkers, connection: Connection, logs: list[EventDict], packet: bytes
) -> None:
    peer, accepted = connection
    two.start()
    with accepted:
        send(two.to_first, packet, accepted.fileno())
    until(lambda: logs)
    assert [entry["event"] for entry in logs] == ["connection not taken over"]
    assert peer.recv(10) == b""


def test_with_no_descriptor_left_connections_wait(
    two: TwoWorkers, connection: Connection, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = socket.dup, [OSError(errno.EMFILE, "x")] * 3

    def scarce(fd: int) -> int:
        if refusals:
            raise refusals.pop()
        return real(fd)

    def serve(connection: Accepted) -> None:
        connection.sock.close()
        came.append(connection.data)

    came: list[bytes] = []
    two.handoff.fronts[HTTP] = serve
    monkeypatch.setattr(socket, "dup", scarce)
    two.start()
    send(two.to_first, pack(Message(HTTP, ADDRESS, b"at last")), connection[1].fileno())
    until(lambda: came)
    assert came == [b"at last"]
    assert [entry["error"] for entry in logs] == ["Too many open files"] * 3


def test_a_descriptor_that_is_no_socket(two: TwoWorkers, logs: list[EventDict]) -> None:
    reader, writer = os.pipe()
    two.start()
    send(two.to_first, pack(Message(HTTP, ADDRESS)), writer)
    os.close(writer)
    until(lambda: logs)
    assert os.read(reader, 1) == b"", "no copy is open any more"
    os.close(reader)


class TestUnwatch:
    def test_a_duplicate_in_another_process_is_not_watched_here(self) -> None:
        near, far = unix_pair()
        with near, far:
            fd = far.fileno()
            let_the_loop_watch(fd)
            assert fd in watched(os.getpid())
            elsewhere = socket.dup(fd)
            unwatch(fd)
            far.close()
            assert fd not in watched(os.getpid())
            socket.close(elsewhere)

    def test_a_descriptor_that_was_never_watched(self) -> None:
        near, far = unix_pair()
        with near, far:
            unwatch(far.fileno())

    def test_with_no_descriptor_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: int) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        near, far = unix_pair()
        with near, far, monkeypatch.context() as scarce:
            scarce.setattr(os, "dup", refuse)
            unwatch(far.fileno())

    def test_the_loop_can_watch_it_again(self) -> None:
        near, far = unix_pair()
        with near, far:
            for _ in range(3):
                let_the_loop_watch(far.fileno())
                unwatch(far.fileno())
            near.send(b"x")
            gevent.socket.wait_read(far.fileno(), 10)


def let_the_loop_watch(fd: int) -> None:
    """The loop watches `fd` from then on."""
    with gevent.Timeout(20 * MS, False):  # type: ignore[arg-type]
        gevent.socket.wait_read(fd)

"""What the system tells about a connection, and how one is hung up."""

from __future__ import annotations

import contextlib
import socket
import threading

import gevent
import gevent.socket
import pytest

from medusa.reflector.net.sockets import MOST_LINGERING, acknowledged, broken, hang_up, silence
from tests.bytelinks import RESET
from tests.links import tcp_pair, unix_pair
from tests.unit.reflector.conftest import until
from tests.waiting import MS, PATIENCE


def test_what_the_peers_host_has_acknowledged() -> None:
    near, far = tcp_pair()
    with near, far:
        before = acknowledged(near.fileno())
        assert before is not None
        near.sendall(bytes(1000))

        def arrived() -> bool:
            now = acknowledged(near.fileno())
            return now is not None and now.size - before.size == 1000

        until(arrived)
        assert silence(near.fileno()) == 0.0


@pytest.mark.parametrize("fd", [-1, None])
def test_a_connection_without_acknowledgements(fd: int | None) -> None:
    near, far = unix_pair()
    with near, far:
        assert acknowledged(near.fileno() if fd is None else fd) is None
        assert silence(near.fileno()) == 0.0


def test_a_reset_is_found_though_nothing_is_read() -> None:
    near, far = tcp_pair()
    with near:
        far.shutdown(socket.SHUT_WR)
        assert not broken(near.fileno()), "the peer may still read"
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        far.close()
        until(lambda: broken(near.fileno()))


def test_a_peer_that_trickles_is_not_read_for_longer() -> None:
    near, far = unix_pair()
    sock = gevent.socket.socket(fileno=near.detach())

    def trickle() -> None:
        while True:
            far.send(b"x")
            gevent.sleep(5 * MS)

    with far, sock:
        sending = gevent.spawn(trickle)
        hang_up(sock, 50 * MS)
        sending.kill()
        assert sock.fileno() == -1


def test_what_a_refused_peer_goes_on_to_send_is_bounded() -> None:
    peer, accepted = socket.socketpair()
    sent = [0]

    def send_forever() -> None:
        with contextlib.suppress(OSError):
            while True:
                sent[0] += peer.send(bytes(1 << 16))

    with peer:
        peer.settimeout(PATIENCE)
        sender = threading.Thread(target=send_forever)
        sender.start()
        hang_up(gevent.socket.socket(fileno=accepted.detach()), PATIENCE)
        sender.join()
    assert MOST_LINGERING <= sent[0] < 8 * MOST_LINGERING

"""What the system tells about a connection, and how one is hung up."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import gevent
import gevent.socket
import pytest

from medusa.reflector.net.sockets import (
    MOST_LINGERING,
    AcceptedSocket,
    accept,
    acknowledged,
    broken,
    hang_up,
    silence,
    ungreen,
)
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


class TestAnAcceptedSocket:
    @pytest.fixture
    def ends(self) -> Iterator[tuple[AcceptedSocket, socket.socket]]:
        near, far = unix_pair()
        near.setblocking(False)
        far.settimeout(PATIENCE)
        sock = AcceptedSocket(near)
        with far, contextlib.closing(sock):
            yield sock, far

    def test_it_waits_for_bytes_and_others_run_meanwhile(self, ends: tuple[AcceptedSocket, socket.socket]) -> None:
        sock, far = ends
        assert sock.recv_now(10) == b""
        gevent.spawn(far.sendall, b"late")
        assert sock.recv(10) == b"late"
        far.sendall(b"soon")
        assert sock.recv_now(2) + sock.recv(10) == b"soon"
        far.close()
        assert sock.recv(10) == sock.recv_now(10) == b""

    def test_it_sends_all_to_a_slow_reader(self, ends: tuple[AcceptedSocket, socket.socket]) -> None:
        sock, far = ends
        got, whole = bytearray(), bytes(range(256)) * 40_000

        def read() -> None:
            while len(got) < len(whole):
                got.extend(far.recv(1 << 16))

        with ThreadPoolExecutor(1) as threads:
            reader = threads.submit(read)
            sock.settimeout(PATIENCE)
            sent = sock.send(whole)
            sock.sendall(memoryview(whole)[sent:])
            reader.result()
        assert bytes(got) == whole

    def test_its_timeouts(self, ends: tuple[AcceptedSocket, socket.socket]) -> None:
        sock, _ = ends
        for seconds, error in ((0.0, BlockingIOError), (MS, TimeoutError)):
            sock.settimeout(seconds)
            with pytest.raises(error):
                sock.recv(1)
            with pytest.raises(error):
                sock.sendall(bytes(1 << 24))
            with pytest.raises(error):  # the buffers are full by now
                sock.send(b"x")

    def test_it_gives_its_socket_away_once(self, ends: tuple[AcceptedSocket, socket.socket]) -> None:
        sock, far = ends
        number = sock.fileno()
        with ungreen(sock) as plain:
            assert plain.fileno() == number
            sock.close()
            plain.sendall(b"open")
            assert far.recv(10) == b"open"
        assert (sock.fileno(), sock.detach()) == (-1, -1)
        for use in (sock.recv, sock.recv_now, sock.shutdown):
            with pytest.raises(OSError, match="Bad file descriptor"):
                use(1)

    def test_its_descriptor_may_be_replaced(self, ends: tuple[AcceptedSocket, socket.socket]) -> None:
        sock, far = ends
        with contextlib.closing(sock.replaced()) as other:
            assert sock.fileno() == -1
            far.sendall(b"x")
            assert other.recv(1) == b"x"
            other.shutdown(socket.SHUT_WR)
            assert far.recv(1) == b""
            os.close(other.detach())

    def test_accepting(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            assert accept(listener) is None
            with socket.create_connection(listener.getsockname()) as peer:
                until(lambda: bool(select.select([listener], [], [], 0)[0]))
                found = accept(listener)
                assert found is not None
                with contextlib.closing(found[0]):
                    assert found[1] == peer.getsockname()
                    assert found[0].recv_now(1) == b""

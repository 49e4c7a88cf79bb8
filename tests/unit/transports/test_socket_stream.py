from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from medusa.transports.socket_stream import SocketStream
from tests.links import tcp_pair
from tests.waiting import MS, PATIENCE, wait_until

SHORT = 30 * MS


@pytest.fixture
def ends() -> Iterator[tuple[SocketStream, socket.socket]]:
    near, far = tcp_pair()
    far.settimeout(PATIENCE)
    stream = SocketStream(near)
    yield stream, far
    stream.close()
    far.close()


def test_it_does_not_block(ends: tuple[SocketStream, socket.socket]) -> None:
    stream, far = ends
    with pytest.raises(BlockingIOError):
        stream.recv(10)
    far.sendall(b"abc")
    stream.wait(True, False, PATIENCE)
    assert stream.recv(2) == b"ab"
    assert stream.recv(2) == b"c"
    sent = [stream.send(bytes(1 << 20))]
    with pytest.raises(BlockingIOError):
        sent += iter(lambda: stream.send(bytes(1 << 20)), 0)
    assert sum(sent) > 0


def test_waiting_ends_with_what_is_waited_for_or_in_time(ends: tuple[SocketStream, socket.socket]) -> None:
    stream, far = ends
    begun = time.monotonic()
    stream.wait(True, False, SHORT)
    assert time.monotonic() - begun >= SHORT
    stream.wait(True, True, PATIENCE)
    far.close()
    stream.wait(True, False, PATIENCE)
    assert stream.recv(1) == b""
    stream.wait(False, True, 0)
    assert time.monotonic() - begun < PATIENCE / 2


def test_shutdown_ends_one_direction(ends: tuple[SocketStream, socket.socket]) -> None:
    stream, far = ends
    stream.send(b"last")
    stream.shutdown()
    stream.shutdown()
    assert far.recv(10) + far.recv(10) == b"last"
    far.sendall(b"more")
    stream.wait(True, False, PATIENCE)
    assert stream.recv(10) == b"more"
    with pytest.raises(BrokenPipeError):
        stream.send(b"x")


def test_a_close_with_unread_input_is_no_reset(ends: tuple[SocketStream, socket.socket]) -> None:
    stream, far = ends
    far.sendall(bytes(10_000))
    stream.send(b"bye")
    stream.wait(True, False, PATIENCE)
    stream.close()
    assert far.recv(10) + far.recv(10) == b"bye"


def test_closed_is_closed(ends: tuple[SocketStream, socket.socket]) -> None:
    stream, _ = ends
    assert stream.fileno() >= 0
    stream.close()
    stream.close()
    stream.shutdown()
    stream.wait(True, True, None)
    assert stream.fileno() == -1
    for use in (lambda: stream.recv(1), lambda: stream.send(b"x")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            use()


def test_close_wakes_up_a_waiting_thread(ends: tuple[SocketStream, socket.socket]) -> None:
    stream, _ = ends
    waiter = threading.Thread(target=stream.wait, args=(True, False, None))
    waiter.start()
    # That it waits shows in the kernel: it is inside poll().
    wait_until(lambda: waiter.native_id and _sleeps(waiter.native_id))
    stream.close()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()


def _sleeps(thread: int) -> bool:
    with open(f"/proc/self/task/{thread}/stat") as stat:
        return stat.read().rpartition(") ")[2][0] == "S"

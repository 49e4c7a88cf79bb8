"""A byte link on the event loop, between real sockets, with TLS to the peer and without."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.byte_link import ByteLink, Patience
from medusa.reflector.relay.byte_pipe import READ_SIZE, BytePipe, join
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream, stream_over
from tests.bytelinks import MIB, Ends, clog, receive, send
from tests.links import tcp_pair, tls_pair
from tests.unit.reflector.conftest import until
from tests.waiting import MS


class Judge:
    """What a link asks whether it is lost; notes which of the two pipes have moved."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, bool, bool, bool]] = []
        self.lost = False

    def __call__(self, outward: BytePipe, inward: BytePipe) -> bool:
        self.asked.append((outward.has_read, outward.has_written, inward.has_read, inward.has_written))
        return self.lost


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture(params=["tcp", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tls")


@pytest.fixture
def budget() -> Budget:
    return Budget()


@pytest.fixture
def close() -> float:
    return 60.0


@pytest.fixture
def ends(queue: FairQueue, judge: Judge, tls: bool, budget: Budget, close: float) -> Iterator[Ends]:
    peer, outer = tls_pair(tcp_pair) if tls else tcp_pair()
    inner, owner = tcp_pair()
    ends = Ends(stream_over(peer), peer if isinstance(peer, socket.socket) else peer.sock, SocketStream(owner))
    pipes = join(stream_over(outer), SocketStream(inner), share=budget.share(address="x"))
    ends.open(lambda ended: ByteLink(queue, pipes, Patience(90 * MS, close, 60.0), judge, ended, b"the answer"))
    assert receive(ends.peer, 10) == b"the answer"
    yield ends
    ends.close()


def test_both_ways_at_once(ends: Ends) -> None:
    up, down = os.urandom(4 * MIB), os.urandom(4 * MIB)
    senders = [gevent.spawn(send, ends.peer, up), gevent.spawn(send, ends.owner, down)]
    readers = [gevent.spawn(receive, ends.owner, len(up)), gevent.spawn(receive, ends.peer, len(down))]
    assert [reader.get() for reader in readers] == [up, down]
    gevent.joinall(senders, raise_error=True)


def test_the_peer_ends_first(ends: Ends, tls: bool) -> None:
    send(ends.peer, b"the last words")
    ends.peer.shutdown()
    assert receive(ends.owner) == b"the last words"
    send(ends.owner, b"an answer")
    ends.owner.shutdown()
    assert tls or receive(ends.peer) == b"an answer"
    ends.over()


def test_the_owner_ends_first(ends: Ends, tls: bool) -> None:
    """The peer's answer reaches it, but not through TLS, which ends both ways at once."""
    send(ends.owner, b"the last words")
    ends.owner.shutdown()
    assert receive(ends.peer) == b"the last words"
    if isinstance(ends.peer, TlsStream):
        assert ends.peer._tls is not None
        assert ends.peer._tls.ended
    send(ends.peer, b"an answer")
    ends.peer.shutdown()
    assert receive(ends.owner) == (b"" if tls else b"an answer")
    ends.over()


def test_a_reader_that_stops_bounds_what_is_held(ends: Ends, budget: Budget) -> None:
    sent = clog(ends.owner)
    assert len(sent) < 16 * MIB
    assert 0 < budget.used <= 2 * READ_SIZE
    send(ends.peer, b"still here")
    assert receive(ends.owner, 10) == b"still here"
    assert receive(ends.peer, len(sent)) == sent
    until(lambda: not budget.used)


def test_what_is_held_is_given_back_at_the_end(ends: Ends, budget: Budget) -> None:
    clog(ends.owner)
    until(lambda: budget.used > 0)
    ends.link.end()
    assert budget.used == 0


def test_a_reset_ends_both(ends: Ends) -> None:
    ends.reset_by_peer()
    assert receive(ends.owner) == b""
    ends.over()


@pytest.mark.parametrize("tls", [False])
def test_what_has_moved_in_an_interval_is_judged(ends: Ends, judge: Judge) -> None:
    until(lambda: judge.asked[-1:] == [(False, False, False, False)])
    send(ends.owner, b"x")
    until(lambda: (True, True, False, False) in judge.asked)
    until(lambda: judge.asked[-1] == (False, False, False, False))
    judge.lost = True
    ends.over()
    assert receive(ends.peer) == b"x"


def test_bytes_that_tls_holds_are_copied_though_no_socket_is_readable(queue: FairQueue, judge: Judge) -> None:
    (peer, outer), (inner, owner) = tls_pair(tcp_pair), tcp_pair()
    ends = Ends(stream_over(peer), peer.sock, SocketStream(owner))
    stream = stream_over(outer)
    send(ends.peer, b"!held")
    assert receive(stream, 1) == b"!"
    patience = Patience(60.0, 60.0, 60.0)
    ends.open(lambda ended: ByteLink(queue, join(stream, SocketStream(inner)), patience, judge, ended))
    assert receive(ends.owner, 4) == b"held"
    ends.close()


@pytest.mark.parametrize("close", [100 * MS])
def test_once_the_owner_has_closed_no_byte_of_the_peer_moves_the_deadline(ends: Ends) -> None:
    ends.owner.shutdown()
    while not ends.link.over:
        with contextlib.suppress(OSError):
            ends.peer.send(b"x")
        gevent.sleep(MS)
    assert receive(ends.peer) == b""


@pytest.mark.parametrize("tls", [False])
def test_nor_while_the_peer_does_not_read_all(ends: Ends) -> None:
    ends.link._patience = Patience(90 * MS, 60.0, 100 * MS)
    clog(ends.owner)
    ends.owner.close()
    while not ends.link.over:
        with contextlib.suppress(OSError):
            ends.peer.send(b"x")
        gevent.sleep(MS)

"""The byte proxy of a forwarded connection, between real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.cluster.byte_proxy import open_byte_proxy
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import stream_over
from tests.bytelinks import MIB, Ends, both_ways, clog, receive, send
from tests.links import tcp_pair, tls_pair
from tests.waiting import MS, Deadline, wait_until

SHORT = 100 * MS


@pytest.fixture
def stall_timeout() -> float | None:
    return 60.0


@pytest.fixture(params=["tcp", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tls")


@pytest.fixture
def ends(queue: FairQueue, tls: bool, stall_timeout: float | None) -> Iterator[Ends]:
    peer, outer = tls_pair(tcp_pair) if tls else tcp_pair()
    inner, owner = tcp_pair()
    ends = Ends(stream_over(peer), peer if isinstance(peer, socket.socket) else peer.sock, SocketStream(owner))
    streams = stream_over(outer), SocketStream(inner)
    ends.open(lambda ended: open_byte_proxy(queue, streams, b"the answer", stall_timeout, ended))
    assert receive(ends.peer, 10) == b"the answer"
    yield ends
    ends.close()


plain = pytest.mark.parametrize("tls", [False])


def test_both_ways_at_once(ends: Ends) -> None:
    both_ways(ends)


def test_the_peer_ends_first(ends: Ends, tls: bool) -> None:
    send(ends.peer, b"the last words")
    ends.peer.shutdown()
    assert receive(ends.owner) == b"the last words"
    send(ends.owner, b"an answer")
    ends.owner.shutdown()
    assert tls or receive(ends.peer) == b"an answer"
    ends.over()


@plain
def test_the_owner_ends_first_and_still_hears_the_peer(ends: Ends) -> None:
    send(ends.owner, b"the last words")
    ends.owner.shutdown()
    assert receive(ends.peer) == b"the last words"
    send(ends.peer, b"an answer")
    ends.peer.shutdown()
    assert receive(ends.owner) == b"an answer"
    ends.over()


def test_a_reader_that_stops_bounds_what_is_held(ends: Ends) -> None:
    sent = clog(ends.owner)
    assert len(sent) < 16 * MIB
    send(ends.peer, b"still here")
    assert receive(ends.owner, 10) == b"still here"
    assert receive(ends.peer, len(sent)) == sent


def test_a_reset_ends_both(ends: Ends) -> None:
    ends.reset_by_peer()
    assert receive(ends.owner) == b""
    ends.over()


@pytest.mark.parametrize("stall_timeout", [SHORT])
class TestStalled:
    def test_a_peer_that_has_ended_while_the_owner_is_silent(self, ends: Ends) -> None:
        ends.peer.shutdown()
        ends.over()

    def test_a_peer_that_hung_up_after_bytes_that_the_owner_does_not_read(self, ends: Ends) -> None:
        clog(ends.peer)
        ends.reset_by_peer()
        ends.over()

    def test_silence_alone_ends_nothing(self, ends: Ends) -> None:
        waited = Deadline(5 * SHORT)
        wait_until(lambda: waited.passed, nap=gevent.sleep)
        assert not ends.link.over

    def test_an_end_that_reads_slowly_is_waited_for(self, ends: Ends) -> None:
        sent, got = clog(ends.owner), b""
        ends.owner.shutdown()
        while len(got) < len(sent):
            got += receive(ends.peer, min(MIB // 4, len(sent) - len(got)))
            gevent.sleep(SHORT / 4)
        assert got == sent


@plain
@pytest.mark.parametrize("stall_timeout", [None])
def test_without_a_limit_one_end_may_go_on_alone(ends: Ends) -> None:
    ends.peer.shutdown()
    wait_until(lambda: hung_up(ends.owner.fileno()), nap=gevent.sleep)
    gevent.sleep(5 * SHORT)
    send(ends.owner, b"much later")
    assert receive(ends.peer, 10) == b"much later"

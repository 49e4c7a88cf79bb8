"""When the TLS proxy gives up, and what it reads after the owner's end. test_byte_link.py tests how it copies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.relay.byte_link import Patience
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.workers.tls_proxy import is_lost, open_tls_proxy
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import stream_over
from tests.bytelinks import MIB, Ends, clog, pipe, receive, send
from tests.links import tcp_pair, tls_pair, unix_pair
from tests.unit.reflector.conftest import until
from tests.waiting import MS


@pytest.mark.parametrize("counts_reads", [False, True])
@pytest.mark.parametrize(
    ("outward", "inward", "lost"),
    [
        ("", "", False),
        ("", "ended", False),
        ("ended", "", True),
        ("ended", "read", False),
        ("ended", "held", False),
        ("", "stuck", True),
        ("", "stuck written", False),
        ("stuck", "", True),
        ("stuck written", "", False),
        ("stuck", "read", None),
    ],
)
def test_an_end_is_gone_and_the_other_shows_no_sign_of_life(
    outward: str, inward: str, lost: bool | None, counts_reads: bool
) -> None:
    """None: bytes from the peer are a sign of life if `counts_reads`."""
    assert is_lost(counts_reads, pipe(outward), pipe(inward)) is (not counts_reads if lost is None else lost)


@pytest.fixture
def stall_timeout() -> float:
    return 60.0


@pytest.fixture
def counts_reads() -> bool:
    return True


@pytest.fixture
def ends(queue: FairQueue, stall_timeout: float, counts_reads: bool) -> Iterator[Ends]:
    peer, outer = tls_pair(tcp_pair)
    inner, owner = unix_pair()
    streams = stream_over(outer), SocketStream(inner)
    ends = Ends(stream_over(peer), peer.sock, SocketStream(owner))
    ends.open(
        lambda ended: open_tls_proxy(queue, streams, b"", Patience(stall_timeout, 60.0, 60.0), counts_reads, ended)
    )
    yield ends
    ends.close()


@pytest.mark.parametrize("counts_reads", [False, True])
def test_the_caller_says_whether_bytes_from_the_peer_count(ends: Ends, counts_reads: bool) -> None:
    assert ends.link._is_lost(pipe("stuck"), pipe("read")) is not counts_reads


@pytest.mark.parametrize("stall_timeout", [20 * MS])
def test_a_peer_that_takes_nothing_is_not_waited_for_once_the_owner_is_gone(ends: Ends) -> None:
    clog(ends.owner)
    ends.owner.close()
    ends.over()


@pytest.mark.parametrize("stall_timeout", [180 * MS])
def test_a_peer_that_reads_nothing_is_dropped_if_the_owner_has_not_waited_though_the_peer_sends(ends: Ends) -> None:
    clog(ends.owner)
    ends.owner.close()

    def is_over() -> bool:
        with contextlib.suppress(OSError):
            send(ends.peer, b"a pong")
        return ends.link.over

    until(is_over)


def test_a_peer_that_sends_after_the_owner_has_closed_is_read_until_it_ends(ends: Ends) -> None:
    ends.owner.close()
    for _ in range(20):
        send(ends.peer, b"is dropped")
        gevent.sleep(MS)
    assert not ends.link.over
    ends.peer.shutdown()
    ends.over()


def test_a_slow_reader_that_sends_gets_all_though_the_owner_is_gone(ends: Ends) -> None:
    sent = clog(ends.owner)
    ends.owner.close()
    send(ends.peer, bytes(16 * MIB))
    assert receive(ends.peer, len(sent)) == sent
    ends.peer.shutdown()
    ends.over()

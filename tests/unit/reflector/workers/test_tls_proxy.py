"""The TLS proxy passes bytes unchanged, both ways, until both ends are done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.workers.tls_proxy import open_tls_proxy
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream, stream_over
from tests.bytelinks import MIB, Ends, both_ways, clog, receive, send
from tests.links import tcp_pair, tls_pair, unix_pair
from tests.waiting import MS, Deadline, wait_until

SHORT = 100 * MS
LONG = 10 * SHORT


@pytest.fixture
def stall_timeout() -> float:
    return 60.0


@pytest.fixture
def lenient() -> bool:
    return True


@pytest.fixture
def ends(queue: FairQueue, stall_timeout: float, lenient: bool) -> Iterator[Ends]:
    peer, outer = tls_pair(tcp_pair)
    inner, owner = unix_pair()
    ends = Ends(stream_over(peer), peer.sock, SocketStream(owner))
    ends.open(
        lambda ended: open_tls_proxy(queue, stream_over(outer), SocketStream(inner), stall_timeout, lenient, ended)
    )
    yield ends
    ends.close()


def test_both_ways_at_once(ends: Ends) -> None:
    both_ways(ends)


def test_what_the_peer_sent_before_it_ended(ends: Ends) -> None:
    send(ends.peer, b"the last words")
    ends.peer.shutdown()
    assert receive(ends.owner) == b"the last words"
    send(ends.owner, b"an answer")
    ends.owner.shutdown()
    ends.over()


def test_what_the_owner_sent_before_it_ended_and_that_it_ended_as_tls_does(ends: Ends) -> None:
    send(ends.owner, b"the last words")
    ends.owner.shutdown()
    assert receive(ends.peer) == b"the last words"
    assert isinstance(ends.peer, TlsStream)
    assert ends.peer._tls is not None
    assert ends.peer._tls.ended
    send(ends.peer, b"to be dropped")
    ends.peer.shutdown()
    ends.over()
    assert receive(ends.owner) == b"", "nothing of it, and no ciphertext either"


@pytest.mark.parametrize("stall_timeout", [SHORT])
def test_a_peer_that_does_not_hang_up_after_the_owner(ends: Ends) -> None:
    ends.owner.close()
    ends.over()


def test_a_peer_that_sends_after_the_owner_has_closed_is_read_until_it_ends(ends: Ends) -> None:
    ends.owner.close()
    for _ in range(20):
        send(ends.peer, b"is dropped")
        gevent.sleep(MS)
    assert not ends.link.over
    ends.peer.shutdown()
    ends.over()


def test_a_peer_that_is_reset(ends: Ends) -> None:
    ends.reset_by_peer()
    assert receive(ends.owner) == b""
    ends.over()


def test_backpressure_holds_and_the_other_way_goes_on(ends: Ends) -> None:
    sent = clog(ends.owner)
    assert len(sent) < 16 * MIB
    send(ends.peer, b"still here")
    assert receive(ends.owner, 10) == b"still here"
    assert receive(ends.peer, len(sent)) == sent


@pytest.mark.parametrize("stall_timeout", [SHORT])
def test_silence_of_both_ends_is_for_the_owner_to_judge(ends: Ends) -> None:
    sent = clog(ends.owner)
    assert receive(ends.peer, len(sent)) == sent
    waited = Deadline(LONG)
    wait_until(lambda: waited.passed, nap=gevent.sleep)
    send(ends.owner, b"on we go")
    assert receive(ends.peer, 8) == b"on we go"


@pytest.mark.parametrize("stall_timeout", [SHORT])
def test_a_peer_that_hung_up_after_bytes_that_the_owner_does_not_read(ends: Ends) -> None:
    """The owner has to learn of it, as it would from the connection itself: then it judges the silence."""
    sent = clog(ends.peer)
    ends.reset_by_peer()
    ends.over()
    got = receive(ends.owner)
    assert len(got) < len(sent)
    assert sent.startswith(got)


def test_a_slow_reader_gets_all_though_the_owner_is_gone(ends: Ends) -> None:
    sent = clog(ends.owner)
    closing = gevent.spawn(ends.owner.close)
    send(ends.peer, b"I live")
    assert receive(ends.peer, len(sent)) == sent
    closing.join()
    ends.peer.shutdown()
    ends.over()


@pytest.mark.parametrize("stall_timeout", [20 * SHORT])
def test_a_peer_that_lives_is_waited_for_though_the_owner_is_gone(ends: Ends) -> None:
    sent = clog(ends.owner)
    ends.owner.close()
    waited = Deadline(50 * SHORT)
    while not waited.passed:
        with contextlib.suppress(BlockingIOError):
            ends.peer.send(b"I live")
        gevent.sleep(SHORT / 4)
    assert receive(ends.peer, len(sent)) == sent


@pytest.mark.parametrize(("stall_timeout", "lenient", "speaks"), [(SHORT, False, True), (SHORT, True, False)])
def test_a_peer_that_takes_nothing_is_not_waited_for_once_the_owner_is_gone(ends: Ends, speaks: bool) -> None:
    """An agent, although it sends; a client if it sends nothing."""
    clog(ends.owner)
    ends.owner.close()
    deadline = Deadline()
    while not ends.link.over and not deadline.passed:
        with contextlib.suppress(OSError):
            ends.peer.send(b"I live" if speaks else b"")
        gevent.sleep(SHORT / 4)
    ends.over()

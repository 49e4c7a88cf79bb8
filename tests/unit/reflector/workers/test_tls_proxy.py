"""The bridge behind TLS: bytes pass as they are, both ways, until both ends have had their say."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import gevent
import pytest

from medusa.reflector.workers.tls_proxy import SIZE, Bridge, _has_hung_up
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsSocket, TlsStream, over
from tests.links import tcp_pair, tls_pair, unix_pair
from tests.waiting import MS, Deadline, wait_until

PATIENCE = 100 * MS
LONG = 10 * PATIENCE
MIB = 1 << 20


class Ends:
    """`peer` is the client's end of TLS, `owner` the owner's of the unix socket."""

    def __init__(self, peer: TlsSocket, outer: TlsSocket, patience: float, lenient: bool) -> None:
        self.peer = over(peer)
        self.plain = peer.sock
        inner, owner = unix_pair()
        self.owner = SocketStream(owner)
        self.bridge = Bridge(over(outer), SocketStream(inner), patience, lenient)

    def over(self) -> None:
        """The bridge has ended by itself."""
        self.bridge.greenlet.join(10)
        assert self.bridge.greenlet.dead


@pytest.fixture
def patience() -> float:
    return 60.0


@pytest.fixture
def lenient() -> bool:
    return True


@pytest.fixture
def ends(patience: float, lenient: bool) -> Iterator[Ends]:
    ends = Ends(*tls_pair(tcp_pair), patience, lenient)
    yield ends
    ends.bridge.greenlet.kill()
    ends.peer.close()
    ends.owner.close()


def send(sink: SocketStream, data: bytes) -> None:
    view, deadline = memoryview(data), Deadline()
    while view and not deadline.passed:
        try:
            view = view[sink.send(view) :]
        except BlockingIOError:
            gevent.sleep(MS)
    assert not view


def clog(sink: SocketStream) -> bytes:
    """Send until nothing is taken any more; what was taken. The last piece has not gone yet where it is TLS's."""
    piece, sent, still = os.urandom(SIZE), bytearray(), Deadline(LONG)
    while not still.passed:
        try:
            taken = sink.send(piece)
        except BlockingIOError:
            gevent.sleep(MS)
        else:
            sent += piece[:taken]
            still = Deadline(LONG)
    return bytes(sent)


def receive(source: SocketStream, size: int = MIB * 64) -> bytes:
    """That many bytes, or all up to the end."""
    data, deadline = bytearray(), Deadline()
    while len(data) < size:
        assert not deadline.passed, f"{len(data)} bytes and no more"
        try:
            more = source.recv(min(SIZE, size - len(data)))
        except BlockingIOError:
            gevent.sleep(MS)
            continue
        if not more:
            break
        data += more
    return bytes(data)


def test_both_ways_at_once(ends: Ends) -> None:
    up, down = os.urandom(4 * MIB), os.urandom(4 * MIB)
    senders = [gevent.spawn(send, ends.peer, up), gevent.spawn(send, ends.owner, down)]
    readers = [gevent.spawn(receive, ends.owner, len(up)), gevent.spawn(receive, ends.peer, len(down))]
    assert [reader.get() for reader in readers] == [up, down]
    gevent.joinall(senders, raise_error=True)


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
    send(ends.peer, b"nobody wants to know")
    ends.peer.shutdown()
    ends.over()
    assert receive(ends.owner) == b"", "nothing of it, and no ciphertext either"


@pytest.mark.parametrize("patience", [PATIENCE])
def test_a_peer_that_does_not_hang_up_behind_the_owners_end(ends: Ends) -> None:
    ends.owner.close()
    ends.over()


def test_a_peer_that_is_reset(ends: Ends) -> None:
    ends.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ends.plain.close()
    assert receive(ends.owner) == b""
    ends.over()


def test_backpressure_holds_and_the_other_way_goes_on(ends: Ends) -> None:
    sent = clog(ends.owner)
    assert len(sent) < 16 * MIB
    send(ends.peer, b"still here")
    assert receive(ends.owner, 10) == b"still here"
    assert receive(ends.peer, len(sent)) == sent


@pytest.mark.parametrize("patience", [PATIENCE])
def test_silence_of_both_ends_is_not_the_bridges_business(ends: Ends) -> None:
    sent = clog(ends.owner)
    assert receive(ends.peer, len(sent)) == sent
    waited = Deadline(LONG)
    wait_until(lambda: waited.passed, nap=gevent.sleep)
    send(ends.owner, b"on we go")
    assert receive(ends.peer, 8) == b"on we go"


@pytest.mark.parametrize("patience", [PATIENCE])
def test_a_peer_that_hung_up_behind_what_the_owner_does_not_read(ends: Ends) -> None:
    """The owner has to learn of it, as it would from the connection itself: then it judges the silence."""
    sent, got = clog(ends.peer), b""
    socket.socket.shutdown(ends.plain, socket.SHUT_WR)
    while not _has_hung_up(ends.owner):
        got += receive(ends.owner, SIZE // 4)  # until there is room for all of it, and the FIN, in the kernel
        gevent.sleep(PATIENCE * 1.5)
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


@pytest.mark.parametrize("patience", [20 * PATIENCE])
def test_a_peer_that_lives_is_waited_for_though_the_owner_is_gone(ends: Ends) -> None:
    sent = clog(ends.owner)
    ends.owner.close()
    waited = Deadline(30 * PATIENCE)
    while not waited.passed:
        with contextlib.suppress(BlockingIOError):
            ends.peer.send(b"I live")
        gevent.sleep(PATIENCE / 4)
    assert receive(ends.peer, len(sent)) == sent


@pytest.mark.parametrize(("patience", "lenient"), [(PATIENCE, False)])
def test_an_agent_that_lives_and_takes_nothing_is_not_waited_for_once_the_owner_is_gone(ends: Ends) -> None:
    clog(ends.owner)
    ends.owner.close()
    deadline = Deadline()
    while not ends.bridge.greenlet.dead and not deadline.passed:
        with contextlib.suppress(OSError):
            ends.peer.send(b"I live")
        gevent.sleep(PATIENCE / 4)
    ends.over()


@pytest.mark.parametrize("patience", [PATIENCE])
def test_a_peer_that_is_silent_is_not_waited_for_once_the_owner_is_gone(ends: Ends) -> None:
    clog(ends.owner)
    ends.owner.close()
    ends.over()

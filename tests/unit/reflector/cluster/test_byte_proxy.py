"""When the byte proxy of a forwarded connection gives up. test_byte_link.py tests how it copies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from medusa.reflector.cluster.byte_proxy import is_lost, open_byte_proxy
from medusa.reflector.relay.byte_link import Patience
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.socket_stream import SocketStream
from tests.bytelinks import Ends, pipe, receive, send
from tests.links import unix_pair
from tests.waiting import MS


@pytest.mark.parametrize(
    ("outward", "inward", "lost"),
    [
        ("", "", False),
        ("", "ended", True),
        ("ended", "", True),
        ("", "stuck", True),
        ("stuck", "", True),
        ("stuck written", "", False),
        ("ended", "read", False),
        ("read", "ended", False),
        ("", "stuck written", False),
    ],
)
def test_an_end_is_gone_and_nothing_moves(outward: str, inward: str, lost: bool) -> None:
    assert is_lost(pipe(outward), pipe(inward)) is lost


@pytest.fixture
def plain() -> bool:
    return False


@pytest.fixture
def ends(queue: FairQueue, plain: bool) -> Iterator[Ends]:
    with opened(queue, plain) as ends:
        yield ends


@contextlib.contextmanager
def opened(queue: FairQueue, plain: bool) -> Iterator[Ends]:
    (peer, outer), (inner, owner) = unix_pair(), unix_pair()
    ends = Ends(SocketStream(peer), peer, SocketStream(owner))
    streams = SocketStream(outer), SocketStream(inner)
    ends.open(lambda ended: open_byte_proxy(queue, streams, b"the answer", Patience(20 * MS, 60.0, 60.0), plain, ended))
    assert receive(ends.peer, 10) == b"the answer"
    yield ends
    ends.close()


def test_one_end_is_gone_and_the_other_is_silent(ends: Ends) -> None:
    ends.peer.shutdown()
    ends.over()


@pytest.mark.parametrize("plain", [True])
def test_without_a_limit_one_end_may_go_on_alone(ends: Ends, queue: FairQueue) -> None:
    ends.peer.shutdown()
    assert receive(ends.owner) == b""
    with opened(queue, plain=False) as limited:
        limited.peer.shutdown()
        limited.over()
    send(ends.owner, b"much later")
    assert receive(ends.peer, 10) == b"much later"

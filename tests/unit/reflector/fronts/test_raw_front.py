"""The raw front on a socket pair: what a peer gets, and what becomes of its connection."""

from __future__ import annotations

import pytest
from gevent.event import Event

from medusa.protocol.errors import HandshakeError
from medusa.reflector.fronts.raw_front import RawFront, read_greeting
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import RAW
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from tests.unit.reflector.fronts.conftest import ADDRESS, CONFIG, Bench

FRAMED = b"MEDUSA/1 /attach/id/slave localhost\n"


@pytest.fixture
def front(bench: Bench) -> RawFront:
    scratch = memoryview(bytearray(65536))
    return RawFront(("127.0.0.1", 0), bench.admission, CONFIG, bench.metrics, scratch, bench.doorkeeper)


def test_a_greeting_in_pieces_is_read_up_to_its_end(bench: Bench) -> None:
    bench.peer.sendall(b" and the first bytes")
    accepted = Accepted(RAW, bench.sock, ADDRESS, data=b"a greeting\nand more")
    assert read_greeting(accepted)
    assert (accepted.head, accepted.rest, accepted.typed) == (b"a greeting", b"and more", False)
    accepted.unwrap()
    assert (accepted.data, accepted.head) == (b"and more", b"")


@pytest.mark.parametrize(("sent", "greeted"), [(b"", False), (b"half a line", None)])
def test_a_stream_that_ends_before_its_greeting(bench: Bench, sent: bytes, greeted: bool | None) -> None:
    bench.peer.sendall(sent)
    bench.peer.shutdown(1)
    accepted = Accepted(RAW, bench.sock, ADDRESS)
    if greeted is None:
        with pytest.raises(HandshakeError, match="has no end"):
            read_greeting(accepted)
    else:
        assert read_greeting(accepted) is greeted


@pytest.mark.parametrize("data", [b"MEDUSA/1 /x\0", b"MEDUSA/1 /x\rh", b"\xff\xfb\x01", b"\x04\x01"])
def test_what_no_greeting_contains_is_refused_at_once(bench: Bench, data: bytes) -> None:
    with pytest.raises(HandshakeError, match="not a greeting"):
        read_greeting(Accepted(RAW, bench.sock, ADDRESS, data=data))


def test_a_peer_that_says_nothing_is_refused_in_time(bench: Bench, front: RawFront) -> None:
    front.serve(Accepted(RAW, bench.sock, ADDRESS))
    assert bench.received().startswith(b"ERR 408 no greeting in 0.05 s")
    assert bench.metrics.handlers == 0


def test_a_peer_that_gets_no_turn_in_time_is_not_called_slow(bench: Bench, front: RawFront) -> None:
    front.admit = Event().wait  # type: ignore[assignment]
    bench.peer.sendall(FRAMED)
    front.serve(Accepted(RAW, bench.sock, ADDRESS))
    assert bench.received().startswith(b"ERR 503 the reflector is too busy")


def test_http_is_refused_in_its_own_words(bench: Bench, front: RawFront) -> None:
    bench.peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    front.serve(Accepted(RAW, bench.sock, ADDRESS))
    assert bench.received().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_connection_of_another_workers_session_is_handed_over_with_all_that_was_read(
    bench: Bench, front: RawFront
) -> None:
    front._handoff = bench.workers
    bench.peer.sendall(FRAMED + b"first")
    front.serve(Accepted(RAW, bench.sock, ADDRESS))
    assert bench.workers.taken == [(FRAMED + b"first", SessionName("id"), Side.AGENT)]
    assert bench.received() == b""


def test_a_connection_that_was_handed_over_stays(bench: Bench, front: RawFront) -> None:
    front._handoff = bench.workers
    front.serve(Accepted(RAW, bench.sock, ADDRESS, data=FRAMED, handed_over=True))
    assert bench.workers.taken == []
    assert bench.received() == b"ERR 404 there is no such session\n"


def test_a_peer_from_elsewhere_is_refused(bench: Bench, front: RawFront) -> None:
    front.serve(Accepted(RAW, bench.sock, ("192.0.2.1", 1), data=FRAMED, handed_over=True))
    assert bench.received().startswith(b"ERR 403 ")

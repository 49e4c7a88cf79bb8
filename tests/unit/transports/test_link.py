from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from medusa.protocol.control import Resize
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.transports.base import BrokenTransport
from medusa.transports.link import FIRST_MESSAGE, LEAST_MESSAGE, Link, LinkLost, Loss
from tests.blocking import BlockingTransport
from tests.unit.client.peers import link_ends
from tests.waiting import Clock

Ends = tuple[Link, BlockingTransport, Clock]


@pytest.fixture
def ends() -> Iterator[Ends]:
    near, far = link_ends()
    clock = Clock()
    yield Link(near, clock), far, clock
    near.abort()
    far.abort()


def clog(link: Link) -> None:
    while link.clear:
        link.send_data(bytes(65536))


def test_messages_pass_and_terminal_bytes_are_counted(ends: Ends) -> None:
    link, far, _ = ends
    link.send_data(b"typed")
    link.send_control(Resize(132, 43))
    assert far.receive_nowait() == Binary(b"typed")
    assert far.receive_nowait() == Text('mlogin:{"type":"resize","columns":132,"lines":43}')
    far.send_nowait(Binary(b"shown"))
    far.send_nowait(Text("x"))
    assert [link.receive(), link.receive(), link.receive()] == [Binary(b"shown"), Text("x"), None]
    assert (link.sent, link.received) == (5, 5)


def test_link_is_unread_until_nothing_is_there(ends: Ends) -> None:
    link, far, _ = ends
    far.send_nowait(Binary(b"x"))
    far.send_nowait(Binary(b"y"))
    assert link.unread
    link.receive()
    assert link.unread
    link.receive()
    assert not link.unread
    far.send_nowait(Binary(b"z"))
    assert link.receive() == Binary(b"z")
    assert link.receive() is None
    assert not link.unread


def test_pings_after_15_idle_seconds_and_gives_up_after_45(ends: Ends) -> None:
    link, far, clock = ends
    clock.now += 14.9
    link.keep_alive()
    assert far.receive_nowait() is None
    assert 0 < link.timeout() < 0.2
    clock.now += 0.2
    link.keep_alive()
    assert far.receive_nowait() == Ping()
    clock.now += 29.8
    link.keep_alive()
    clock.now += 0.2
    with pytest.raises(LinkLost) as caught:
        link.keep_alive()
    assert caught.value.loss is Loss.SILENT


def test_peer_that_only_sends_is_pinged_all_the_same(ends: Ends) -> None:
    link, far, clock = ends
    for _ in range(2):
        far.send_nowait(Binary(b"x"))
        link.receive()
        clock.now += 8
        link.keep_alive()
    assert far.receive_nowait() == Ping()


def test_output_takes_the_place_of_a_ping(ends: Ends) -> None:
    link, far, clock = ends
    for _ in range(4):
        clock.now += 8
        link.send_data(b"x")
        far.send_nowait(Binary(b"x"))
        link.receive()
        link.keep_alive()
        assert far.receive_nowait() == Binary(b"x")
        assert far.receive_nowait() is None


def test_part_of_a_message_is_a_sign_of_life(ends: Ends) -> None:
    link, far, clock = ends
    whole = b"\x82\x7e\x10\x00" + bytes(0x1000)
    for start in range(0, len(whole), 1024):
        clock.now += 40
        far._stream.send(whole[start : start + 1024])
        message = link.receive()
        link.keep_alive()
    assert message == Binary(bytes(0x1000))


def test_peer_that_is_not_read_is_not_judged(ends: Ends) -> None:
    link, _, clock = ends
    assert not link.events(reading=False) & select.POLLIN
    clock.now += 1000
    link.keep_alive()
    assert link.events(reading=True) & select.POLLIN
    clock.now += 44
    link.keep_alive()


def test_a_stop_of_this_process_is_not_the_peers_silence(ends: Ends) -> None:
    link, _, clock = ends
    clock.now += 1000
    link.reset_keepalive()
    link.keep_alive()


def test_a_cut_link_is_lost_for_every_caller(ends: Ends) -> None:
    link, far, _ = ends
    far.abort()
    for call in (link.receive, lambda: link.send_data(b"x"), lambda: link.queue(Text("x"))):
        with pytest.raises(LinkLost) as caught:
            call()
        assert caught.value.loss is Loss.BROKEN


def test_a_peer_that_breaks_the_protocol_is_lost(ends: Ends) -> None:
    link, far, _ = ends
    far._stream.send(b"\xff\xff\xff\xff")
    with pytest.raises(LinkLost) as caught:
        link.receive()
    assert caught.value.loss is Loss.ILLEGAL


def test_after_the_peers_close_the_link_is_closed(ends: Ends) -> None:
    link, far, _ = ends
    far.send_nowait(Close(1000, "bye"))
    assert link.receive() == Close(1000, "bye")
    with pytest.raises(LinkLost) as caught:
        link.receive()
    assert (caught.value.loss, caught.value.detail) == (Loss.CLOSED, "bye")


def test_queued_messages_follow_in_order_what_waits_in_a_clogged_link(ends: Ends) -> None:
    link, far, _ = ends
    clog(link)
    assert link.events(reading=True) & select.POLLOUT
    link.queue(Text("a"), Binary(b"b"))
    link.queue(Text("c"))
    received = []
    while not link.clear:
        received.append(far.receive_nowait())
        link.flush()
    assert not link.events(reading=True) & select.POLLOUT
    while message := far.receive_nowait():
        received.append(message)
    assert received[-3:] == [Text("a"), Binary(b"b"), Text("c")]


def test_replacing_the_transport_aborts_the_first_and_starts_anew(ends: Ends) -> None:
    link, far, clock = ends
    near, other = link_ends()
    try:
        clock.now += 100
        link.receive()
        link.replace(near)
        link.keep_alive()
        assert link.unread
        assert other.receive_nowait() == Ping()
        with pytest.raises(BrokenTransport):
            far.receive_nowait()
    finally:
        near.abort()
        other.abort()


def test_close_says_why_and_waits_for_the_peers(ends: Ends) -> None:
    link, far, _ = ends
    far.send_nowait(Close(1000, "bye"))
    link.close("done")
    assert far.receive_nowait() == Close(1000, "done")


def test_messages_become_longer_while_the_kernel_takes_them_and_shorter_when_it_does_not(ends: Ends) -> None:
    link, far, _ = ends
    assert link.message_size == FIRST_MESSAGE
    link.send_data(b"a key")
    assert link.message_size == FIRST_MESSAGE
    link.send_data(bytes(FIRST_MESSAGE // 2 + 1))
    assert link.clear
    assert link.message_size == 2 * FIRST_MESSAGE
    for size in (FIRST_MESSAGE, FIRST_MESSAGE // 2, LEAST_MESSAGE, LEAST_MESSAGE):
        clog(link)
        assert link.message_size == size
        while not link.clear:
            far.receive_nowait()
            link.flush()

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from medusa.client.session.link import Link, LinkLost, farewell
from medusa.protocol.control import Resize
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.transports.base import Transport
from tests.unit.client.peers import Clock, link_ends
from tests.waiting import PATIENCE


@pytest.fixture
def ends() -> Iterator[tuple[Link, Transport, Clock]]:
    near, far = link_ends()
    clock = Clock()
    yield Link(near, clock), far, clock
    near.abort()
    far.abort()


def test_messages_pass_and_terminal_bytes_are_counted(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, _ = ends
    link.send_data(b"typed")
    link.send_control(Resize(132, 43))
    assert far.receive(PATIENCE) == Binary(b"typed")
    assert far.receive(PATIENCE) == Text('mlogin:{"type":"resize","columns":132,"lines":43}')
    far.send(Binary(b"shown"))
    far.send(Text("x"))
    assert [link.receive(), link.receive(), link.receive()] == [Binary(b"shown"), Text("x"), None]
    assert (link.sent, link.received) == (5, 5)


def test_pings_when_it_was_idle_for_15_s_and_gives_up_after_45_s(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, clock = ends
    clock.now += 14.9
    link.tend()
    assert far.receive_nowait() is None
    assert 0 < link.patience() < 0.2
    clock.now += 0.2
    link.tend()
    assert far.receive(PATIENCE) == Ping()
    clock.now += 29.8
    link.tend()
    clock.now += 0.2
    with pytest.raises(LinkLost, match="does not answer"):
        link.tend()


def test_any_message_is_a_sign_of_life(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, clock = ends
    for _ in range(4):
        clock.now += 40
        far.send(Ping())
        assert link.receive() == Ping()
        link.tend()


def test_part_of_a_message_is_a_sign_of_life() -> None:
    near, far = link_ends()
    clock = Clock()
    link = Link(near, clock)
    whole = b"\x82\x7e\x10\x00" + bytes(0x1000)
    for start in range(0, len(whole), 1024):
        clock.now += 40
        far._stream.send(whole[start : start + 1024])
        message = link.receive()
        link.tend()
    assert message == Binary(bytes(0x1000))
    near.abort()
    far.abort()


def test_who_is_not_read_is_not_judged(ends: tuple[Link, Transport, Clock]) -> None:
    link, _, clock = ends
    assert not link.events(reading=False) & select.POLLIN
    clock.now += 1000
    link.tend()
    assert link.events(reading=True) & select.POLLIN
    clock.now += 44
    link.tend()


def test_a_stop_of_this_process_is_not_the_peers_silence(ends: tuple[Link, Transport, Clock]) -> None:
    link, _, clock = ends
    clock.now += 1000
    link.resumed()
    link.tend()


def test_a_cut_link_is_lost_for_every_caller(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, _ = ends
    far.abort()
    with pytest.raises(LinkLost, match="lost"):
        link.receive()
    with pytest.raises(LinkLost, match="lost"):
        link.send_data(b"x")


def test_a_peer_that_breaks_the_rules_is_lost(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, _ = ends
    far._stream.send(b"\xff\xff\xff\xff")
    with pytest.raises(LinkLost, match="illegal"):
        link.receive()


def test_a_clogged_link_is_not_clear_until_flushed(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, _ = ends
    while link.clear:
        link.send_data(bytes(65536))
    assert link.events(reading=True) & select.POLLOUT
    far.receive(PATIENCE)
    while not link.clear:
        far.receive_nowait()
        link.flush()
    assert not link.events(reading=True) & select.POLLOUT


def test_the_polite_end_is_bounded_and_heard(ends: tuple[Link, Transport, Clock]) -> None:
    link, far, _ = ends
    far.send(Close(1000, "bye"))
    link.close("done")
    assert far.receive(PATIENCE) == Close(1000, "done")


@pytest.mark.parametrize(
    ("reason", "words"), [("", "(no reason given)"), ("full", "(full)"), ("\x1b[2J", "(\\x1b[2J)")]
)
def test_the_reason_of_a_close_is_made_safe(reason: str, words: str) -> None:
    assert farewell(Close(1000, reason)).endswith(words)

"""How the bytes of an endpoint move over real sockets: backpressure, what is not forwarded, signs of life."""

from __future__ import annotations

import contextlib
import socket

import gevent
import pytest
from structlog.types import EventDict

from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.endpoint.watched import MOST_DISCARDED
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.pump import Progress
from medusa.session import Side
from tests.frames import BINARY, CLOSE, PING, TEXT, frame
from tests.unit.reflector.conftest import until
from tests.unit.reflector.relay.endpoint.wires import Make, Wire
from tests.waiting import Deadline


def test_both_directions_are_forwarded(make: Make) -> None:
    near, far = make()
    near.peer.send(frame(BINARY, b"typed"))
    far.peer.send(frame(BINARY, b"shown"))
    assert far.until_received(7)[-5:] == b"typed"
    assert near.until_received(7)[-5:] == b"shown"


def test_what_comes_after_a_breach_is_bounded(make: Make) -> None:
    near, _ = make()
    near.peer.sendall(frame(BINARY, b"not masked", key=None))
    until(lambda: near.reported == [Progress.BROKE_RULES])
    near.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sent, piece, late = 0, bytes(1 << 18), Deadline()
    while len(near.reported) < 2 and not late.passed:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            sent += near.peer.send(piece)
        gevent.sleep(0)
    assert near.reported == [Progress.BROKE_RULES, Progress.LOST]
    assert MOST_DISCARDED < sent < 2 * MOST_DISCARDED


def test_after_detaching_what_is_read_is_dropped(make: Make) -> None:
    near, far = make()
    near.endpoint.detach()
    near.peer.send(frame(BINARY, b"dropped") + frame(CLOSE))
    until(lambda: near.reported)
    assert far.received() == b""


def test_a_peer_that_reads_nothing_stops_the_other_and_detaching_lets_it_go_on(make: Make) -> None:
    near, far = make()
    near.fill()
    assert far.endpoint.backlog > 0
    assert not near.endpoint._readable.active
    near.endpoint.detach()
    near.peer.setblocking(True)
    near.peer.shutdown(socket.SHUT_WR)
    until(lambda: near.reported)
    assert near.reported == [Progress.LOST]


def test_nothing_is_held_of_a_message_that_leads_nowhere_any_more(make: Make) -> None:
    near, _ = make()
    budget = Budget()
    near.endpoint.transport.share = budget.share(login="alice")
    near.peer.setblocking(True)
    near.peer.sendall(frame(BINARY, bytes(6000), fin=False))
    until(lambda: budget.used)
    near.endpoint.detach()
    assert budget.used == 0


def test_texts_that_a_plain_sink_has_no_place_for_are_handed_over(queue: FairQueue) -> None:
    near, far = Wire(queue, Side.CLIENT, plain=True), Wire(queue, Side.AGENT, plain=False)
    texts: list[bytes] = []
    far.endpoint.on_left_out = texts.extend
    far.endpoint.forward(near.endpoint)
    far.endpoint.start()
    far.peer.send(frame(TEXT, b"mlogin:{}") + frame(BINARY, b"x"))
    until(lambda: near.received() == b"x")
    assert texts == [b"mlogin:{}"]
    assert far.endpoint.pump.left_out_count == 1
    assert not far.endpoint.pump.left_out, "they are not kept"
    for wire in (near, far):
        wire.endpoint.dismiss(Close(1000, ""))
        wire.peer.close()


def test_a_bug_ends_this_connection_and_no_other(
    make: Make, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = make()
    monkeypatch.setattr(near.endpoint.transport, "relay_read", lambda _: 1 / 0)
    near.peer.send(frame(BINARY, b"x"))
    until(lambda: near.reported)
    assert (near.reported, far.reported) == ([Progress.LOST], [])
    assert [entry["event"] for entry in logs] == ["internal error"]


def test_any_byte_is_a_sign_of_life_and_only_terminal_bytes_are_activity(make: Make) -> None:
    near, _ = make()
    byte = frame(BINARY, b"x")
    for data, is_activity in ((frame(TEXT, b"ping") + frame(PING), False), (byte[:1], False), (byte[1:], True)):
        near.endpoint.keepalive, before = Keepalive(15, 0.0), near.endpoint.active
        near.peer.send(data)
        until(lambda: near.endpoint.keepalive.deadline() > 15)
        assert (near.endpoint.active > before) is is_activity

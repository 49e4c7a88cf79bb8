"""How endpoints end, over real sockets: closes, breaches, half-close."""

from __future__ import annotations

import socket

import pytest

from medusa.protocol.messages import Close
from medusa.reflector.relay.endpoint.states import State
from medusa.reflector.relay.pump import Progress
from medusa.session import Side
from tests.frames import BINARY, CLOSE, TEXT, client, frame, head, read
from tests.unit.reflector.conftest import until
from tests.unit.reflector.relay.endpoint.wires import Make


def test_a_close_is_reported_once_and_the_peer_gets_a_fin(make: Make) -> None:
    near, far = make()
    near.peer.send(frame(CLOSE, b"\x03\xe8bye"))
    until(lambda: near.reported)
    assert near.reported == [Progress.CLOSED]
    assert near.endpoint.pump.close == Close(1000, "bye")
    assert read(client(), near.received()) == [Close(1000, "")]
    until(near.at_end)
    assert (far.reported, far.endpoint.state) == ([], State.FORWARDING)


def test_a_breach_is_answered_then_all_is_discarded_until_the_peer_goes(make: Make) -> None:
    near, far = make()
    near.peer.send(frame(TEXT, b"medusa:{}"))
    until(lambda: near.reported)
    before, more = near.endpoint.transport.received, frame(BINARY, b"more") * 100
    near.peer.send(more)
    until(lambda: near.endpoint.transport.received == before + len(more))
    assert near.reported == [Progress.BROKE_RULES]
    assert [type(message) for message in read(client(), near.received())] == [Close]
    near.peer.close()
    until(lambda: len(near.reported) == 2)
    assert near.reported == [Progress.BROKE_RULES, Progress.LOST]
    assert far.received() == b""


def test_a_link_that_was_left_inside_a_frame_is_given_up(make: Make) -> None:
    near, far = make()
    near.peer.send(head(BINARY, 1 << 20) + b"begun")
    until(lambda: far.endpoint.transport.mid_frame)
    far.endpoint.close(Close(1000, "over"))
    assert far.reported == [Progress.LOST]
    assert far.endpoint.pump.why == "the other side was lost inside a message"
    far.endpoint.give_up("again")
    assert far.reported == [Progress.LOST]


def test_a_dismissal_is_not_reported_and_says_why(make: Make) -> None:
    near, _ = make()
    near.endpoint.dismiss(Close(1000, "the session is over"))
    near.endpoint.ping()
    near.endpoint.detach()
    assert near.endpoint.state is State.RELEASED
    assert near.reported == []
    assert read(client(), near.received()) == [Close(1000, "the session is over")]


@pytest.mark.parametrize("first", [0, 1])
def test_between_plain_peers_a_fin_ends_one_direction(make: Make, first: int) -> None:
    pair = make(plain=True)
    one, other = pair[first], pair[1 - first]
    one.peer.send(b"question")
    one.peer.shutdown(socket.SHUT_WR)
    until(lambda: one.endpoint.state is State.HALF_CLOSED)
    assert other.received() == b"question"
    until(other.at_end)
    other.peer.send(b"answer")
    assert one.until_received(6) == b"answer"
    assert (one.reported, other.reported) == ([], [])
    assert one.endpoint.open is False
    other.peer.shutdown(socket.SHUT_WR)
    until(lambda: one.reported and other.reported)
    assert one.reported == other.reported == [Progress.CLOSED]
    assert one.endpoint.state is other.endpoint.state is State.ENDED


def test_the_side_that_ended_first_is_reported_first(make: Make) -> None:
    near, far = make(plain=True)
    order: list[Side] = []
    for wire in (near, far):
        wire.endpoint._report = lambda endpoint, _: order.append(endpoint.side)
    far.peer.shutdown(socket.SHUT_WR)
    until(lambda: far.endpoint.state is State.HALF_CLOSED)
    near.peer.shutdown(socket.SHUT_WR)
    until(lambda: len(order) == 2)
    assert order == [Side.AGENT, Side.CLIENT]


def test_a_half_closed_side_that_cannot_be_written_to_is_over(make: Make) -> None:
    near, far = make(plain=True)
    near.peer.shutdown(socket.SHUT_WR)
    until(lambda: near.endpoint.state is State.HALF_CLOSED)
    near.peer.close()
    far.peer.send(b"for nobody")
    until(lambda: near.reported)
    assert near.reported == [Progress.CLOSED]
    far.endpoint.detach()
    assert far.reported == []


def test_a_detached_half_closed_side_is_over(make: Make) -> None:
    near, _ = make(plain=True)
    near.peer.shutdown(socket.SHUT_WR)
    until(lambda: near.endpoint.state is State.HALF_CLOSED)
    near.endpoint.detach()
    assert near.reported == [Progress.CLOSED]


def test_a_peer_that_does_not_finish_its_message_is_refused_even_while_it_is_not_read(make: Make) -> None:
    near, _ = make()
    near.fill()
    near.endpoint.refuse_message("too slow")
    assert (near.reported, near.endpoint.pump.why) == ([Progress.BROKE_RULES], "too slow")
    assert read(client(), near.received()) == [Close(1008, "too slow")]
    assert near.endpoint.unfinished is None
    near.peer.close()
    until(lambda: near.reported == [Progress.BROKE_RULES, Progress.LOST])

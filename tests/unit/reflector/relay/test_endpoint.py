"""Endpoints over real sockets on the event loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import gevent
import pytest
from structlog.types import EventDict

from medusa.protocol.control import Linkup, build
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.endpoint import MOST_DISCARDED, Endpoint
from medusa.reflector.relay.endpoint_states import State
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.pump import Progress
from medusa.session import Side
from medusa.transports.adopt import adopt_plain, adopt_websocket
from tests.frames import BINARY, CLOSE, PING, TEXT, client, frame, head, read
from tests.unit.reflector.conftest import until
from tests.waiting import Deadline


class Wire:
    """An endpoint, its peer's bare socket, and what the endpoint reported."""

    def __init__(self, queue: FairQueue, side: Side, plain: bool) -> None:
        near, self.peer = socket.socketpair()
        for sock in (near, self.peer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.peer.setblocking(False)
        self.reported: list[Progress] = []
        transport = adopt_plain(near, scratch=queue.scratch) if plain else adopt_websocket(near, scratch=queue.scratch)
        self.endpoint = Endpoint(queue, side, transport, Keepalive(15, 0.0), self._report)

    def _report(self, endpoint: Endpoint, progress: Progress) -> None:
        assert endpoint is self.endpoint
        self.reported.append(progress)

    def received(self) -> bytes:
        """All that has come so far."""
        data = b""
        try:
            while chunk := self.peer.recv(1 << 16):
                data += chunk
        except (BlockingIOError, ConnectionResetError):
            pass
        return data

    def until_received(self, size: int) -> bytes:
        """The next `size` bytes, at least."""
        data = bytearray()

        def enough() -> bool:
            data.extend(self.received())
            return len(data) >= size

        until(enough)
        return bytes(data)

    def at_end(self) -> bool:
        """Whether the endpoint has sent its FIN, and nothing is left before it."""
        try:
            return self.peer.recv(1) == b""
        except BlockingIOError:
            return False

    def fill(self) -> None:
        """Sends until neither the endpoint nor the other side's peer accepts more."""
        data = frame(BINARY, bytes(4096))
        while True:
            gevent.sleep(0)
            try:
                self.peer.send(data)
            except BlockingIOError:
                if self.endpoint.paused:
                    return


@pytest.fixture
def make(queue: FairQueue) -> Iterator[Callable[..., tuple[Wire, Wire]]]:
    wires: list[Wire] = []

    def make(plain: bool = False) -> tuple[Wire, Wire]:
        """A client and an agent, linked."""
        pair = Wire(queue, Side.CLIENT, plain), Wire(queue, Side.AGENT, plain)
        wires.extend(pair)
        for one, other in (pair, pair[::-1]):
            one.endpoint.forward(other.endpoint)
            one.endpoint.start()
            one.endpoint.announce(build(Linkup()))
            one.until_received(10)
        return pair

    yield make
    for wire in wires:
        wire.endpoint.dismiss(Close(1000, ""))
        wire.peer.close()


Make = Callable[..., tuple[Wire, Wire]]


def test_both_directions_are_forwarded(make: Make) -> None:
    near, far = make()
    near.peer.send(frame(BINARY, b"typed"))
    far.peer.send(frame(BINARY, b"shown"))
    assert far.until_received(7)[-5:] == b"typed"
    assert near.until_received(7)[-5:] == b"shown"


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


def test_a_backlog_that_shrinks_counts_as_draining(make: Make) -> None:
    near, far = make()
    near.fill()
    far.endpoint.is_draining()
    assert not far.endpoint.is_draining()
    far.until_received(8193)
    assert far.endpoint.is_draining()


def test_nothing_is_asked_of_a_peer_inside_a_frame(make: Make) -> None:
    near, far = make()
    near.peer.send(head(BINARY, 1 << 20) + b"begun")
    far.until_received(10 + 5)
    assert far.endpoint.backlog == 0
    assert far.endpoint.is_draining()


def test_any_byte_is_a_sign_of_life_and_only_terminal_bytes_are_activity(make: Make) -> None:
    near, _ = make()
    byte = frame(BINARY, b"x")
    for data, is_activity in ((frame(TEXT, b"ping") + frame(PING), False), (byte[:1], False), (byte[1:], True)):
        near.endpoint.keepalive, before = Keepalive(15, 0.0), near.endpoint.active
        near.peer.send(data)
        until(lambda: near.endpoint.keepalive.deadline() > 15)
        assert (near.endpoint.active > before) is is_activity

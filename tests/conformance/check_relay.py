"""What must hold of two links that are joined, of whatever kinds they are: `client` and `agent` are the peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medusa.protocol.messages import MAX_REASON, Binary, Close, Message, Ping, Pong, Text
from medusa.reflector.relay.pump import Progress, Pump
from medusa.transports.base import Transport
from medusa.transports.relayed import RelayedTransport
from tests.blocking import receive
from tests.conformance.driving import FILLING, carry, clog, write_raw
from tests.waiting import Deadline, wait_until

HELD = 512 * 1024
"""Bytes that wait in a relay at the most: one read's worth, and what it became in the other framing."""

ONE_BY_ONE: list[Message] = [Text("é" * 100), Binary(bytes(300)), Binary(b""), Text("")]


class Joined:
    """Two peers, the other ends of their links, and the pumps between those. `step` lets each pump copy once."""

    def __init__(self, client: tuple[Transport, RelayedTransport], agent: tuple[Transport, RelayedTransport]) -> None:
        self.client, self._near = client
        self.agent, self._far = agent
        self.there, self.back = Pump(self._near, self._far), Pump(self._far, self._near)

    def step(self) -> tuple[Progress, Progress]:
        return self.there.step(), self.back.step()

    def carry(self, source: Transport, sink: Transport, messages: Sequence[Message]) -> list[Message]:
        return carry(source, sink, messages, self.step)

    def until(self, progress: Progress) -> None:
        """Copies from the client to the agent until a step ends in `progress`."""
        wait_until(lambda: self.there.step() is progress, str(progress))

    def abort(self) -> None:
        for link in (self.client, self.agent, self._near, self._far):
            link.abort()


Make = Callable[[], Joined]


def check_messages_of_every_size_both_ways(make: Make) -> None:
    joined = make()
    sizes = [0, 1, 125, 126, 127, 65535, 65536, 65537, 0, 1 << 20]
    messages = [Binary(bytes(size)) for size in sizes] + [Text("x" * size) for size in sizes]
    assert joined.carry(joined.client, joined.agent, messages) == messages
    assert joined.carry(joined.agent, joined.client, messages) == messages
    for pump in (joined.there, joined.back):
        assert (pump.messages, pump.size, pump.left_out_count) == (20, 2 * sum(sizes), 0)


def check_order_is_kept(make: Make) -> None:
    joined = make()
    messages = [(Text(str(at)), Binary(b"%d" % at))[at % 2] for at in range(2000)]
    assert joined.carry(joined.client, joined.agent, messages) == messages


def check_any_cut_of_the_bytes_gives_the_same_messages(make: Make) -> None:
    joined, received, deadline = make(), list[Message](), Deadline()
    for byte in b"".join(joined.client._codec.frame(message) for message in ONE_BY_ONE):
        write_raw(joined.client, bytes((byte,)))
        joined.step()
    while len(received) < len(ONE_BY_ONE):
        assert not deadline.passed
        joined.step()
        received += filter(None, [joined.agent.receive_nowait()])
    assert received == ONE_BY_ONE


def check_pings_are_answered_and_not_passed_on(make: Make) -> None:
    joined = make()
    joined.client.send_nowait(Ping(b"now"))
    joined.client.send_nowait(Pong(b"unasked"))
    assert joined.carry(joined.client, joined.agent, [Binary(b"x")]) == [Binary(b"x")]
    assert receive(joined.client) == Pong(b"now")


def check_a_close_arrives_after_all_that_was_sent(make: Make) -> None:
    joined = make()
    messages = [FILLING] * 20
    assert joined.carry(joined.client, joined.agent, list(messages)) == messages
    close = Close(4000, "é" * (MAX_REASON // 2))
    joined.client.send_nowait(close)
    joined.until(Progress.CLOSED)
    assert joined.there.close == close
    assert receive(joined.client) == Close(1000, "")


def check_a_peer_that_breaks_the_rules_gets_a_close_and_the_other_gets_nothing(make: Make) -> None:
    for data, code in ((b"\x7f" * 20, 1002), (None, 1008)):
        joined = make()
        write_raw(joined.client, data or joined.client._codec.frame(Text("medusa:x")))
        joined.until(Progress.BROKE_RULES)
        close = receive(joined.client)
        assert isinstance(close, Close)
        assert close.code == code
        assert joined.agent.receive_nowait() is None
        joined.abort()


def check_a_reader_that_stops_stops_its_writer_alone(make: Make) -> None:
    joined = make()
    sent = 0
    while more := clog(joined.client):
        sent += more
        wait_until(lambda: joined.there.step() is not Progress.MOVED)
    assert joined.there.step() is Progress.BLOCKED
    assert len(joined._far._out) < HELD
    messages: list[Message] = [Text("x"), FILLING] * 50
    assert joined.carry(joined.agent, joined.client, messages) == messages
    received, deadline = 0, Deadline()
    while received < sent:
        assert not deadline.passed
        joined.client.flush()
        joined.step()
        while joined.agent.receive_nowait() is not None:
            received += 1


def check_a_source_lost_inside_a_message(make: Make) -> None:
    joined = make()
    frame = joined.client._codec.frame(Binary(bytes(200_000)))
    write_raw(joined.client, frame[:1000])
    joined.client.abort()
    joined.until(Progress.LOST)
    # What was let out is a frame's beginning, or nothing: that the reflector may end it, or abort it, accordingly.
    assert joined._far.mid_frame is joined._near.reading_mid_frame
    assert joined.agent.receive_nowait() is None


def check_a_message_that_is_arriving_is_dropped_whole(make: Make) -> None:
    joined = make()
    frame = joined.client._codec.frame(Binary(bytes(300)))
    sink, joined.there.sink = joined.there.sink, None  # as before linkup
    write_raw(joined.client, frame[:100])
    wait_until(lambda: joined.there.step() is Progress.MOVED)
    joined.there.sink = sink
    joined._near.skip_message()
    write_raw(joined.client, frame[100:])
    assert joined.carry(joined.client, joined.agent, [Text("next")]) == [Text("next")]


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]

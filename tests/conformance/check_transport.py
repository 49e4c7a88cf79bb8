"""What every transport must do. A kind passes when each of CHECKS, here and in
check_transport_ends.py, passes with fresh links of it.

In each link `one` is the end under test and `other` its peer, which some checks make misbehave.
"""

from __future__ import annotations

import pytest

from medusa.protocol.errors import LocalProtocolError, MessageTooBig
from medusa.protocol.messages import MAX_MESSAGE, Binary, Close, Message, Ping, Pong, Text
from tests.blocking import receive, send
from tests.conformance.driving import FILLING, Make, carry, clog, drain, write_raw
from tests.waiting import Deadline, wait_until

# ---------------------------------------------------------------------- messages


def check_order_is_kept(make: Make) -> None:
    one, other = make()
    messages = [(Text(str(at)), Binary(b"%d" % at), Pong(b"%d" % at))[at % 3] for at in range(2000)]
    assert carry(one, other, messages) == messages


def check_messages_of_every_size_both_ways(make: Make) -> None:
    one, other = make()
    sizes = [0, 1, 125, 126, 127, 0, 65535, 65536, 65537, 0, 1 << 20]
    messages: list[Message] = [Text("é\0😀"), Binary(b"\xff\0"), Text("medusa"), Binary(b"medusa:")]
    messages += [Binary(bytes(size)) for size in sizes] + [Text("x" * size) for size in sizes]
    assert carry(one, other, messages) == messages
    assert carry(other, one, messages) == messages


def check_a_message_of_16_mib_is_the_largest(make: Make) -> None:
    for size in (MAX_MESSAGE - 1, MAX_MESSAGE):
        one, other = make()
        (message,) = carry(one, other, [Binary(bytes(size))])
        assert message == Binary(bytes(size))
    one, other = make()
    one.send_nowait(Binary(bytes(MAX_MESSAGE + 1)))
    with pytest.raises(MessageTooBig):
        wait_until(other.receive_nowait)
    assert isinstance(receive(one), Close)


def check_the_limit_is_an_option(make: Make) -> None:
    one, other = make(max_message=1000)
    assert carry(other, one, [Binary(bytes(1000))]) == [Binary(bytes(1000))]
    send(other, Binary(bytes(1001)))
    with pytest.raises(MessageTooBig):
        receive(one)
    assert isinstance(close := receive(other), Close)
    assert close.code == 1009


def check_the_limit_can_be_lowered(make: Make) -> None:
    one, other = make()
    assert carry(other, one, [Binary(bytes(1001))]) == [Binary(bytes(1001))]
    one.limit_messages(1000)
    assert carry(other, one, [Binary(bytes(1000))]) == [Binary(bytes(1000))]
    send(other, Binary(bytes(1001)))
    with pytest.raises(MessageTooBig):
        receive(one)


def check_any_cut_of_the_bytes_gives_the_same_messages(make: Make) -> None:
    one, other = make()
    messages: list[Message] = [Text("é" * 100), Binary(bytes(300)), Binary(b""), Ping(b"p")]
    received: list[Message] = []
    for byte in b"".join(other._codec.frame(message) for message in messages):
        write_raw(other, bytes((byte,)))
        received += filter(None, [one.receive_nowait()])
    while len(received) < len(messages):
        received.append(receive(one))
    assert received == messages


def check_a_message_with_no_legal_form_is_refused_here(make: Make) -> None:
    one, other = make()
    for message in (Ping(bytes(126)), Pong(bytes(126)), Close(1005), Text("\ud800")):
        with pytest.raises(LocalProtocolError):
            one.send_nowait(message)
    assert carry(one, other, [Ping(bytes(125)), Text("still well")]) == [Ping(bytes(125)), Text("still well")]


# ---------------------------------------------------------------------- a peer that does not read


def check_backpressure(make: Make) -> None:
    one, other = make()
    sent = clog(one)
    for message in (Binary(b"x"), Text("x")):
        with pytest.raises(LocalProtocolError):
            one.send_nowait(message)
    assert not one.flush()
    assert drain(one, other) == [FILLING] * sent
    assert carry(one, other, [Text("on it goes")]) == [Text("on it goes")]


def check_the_other_direction_goes_on(make: Make) -> None:
    one, other = make()
    clog(one)
    messages: list[Message] = [Binary(bytes(5000)), Text("x")] * 100
    assert carry(other, one, messages) == messages


def check_pings_are_answered(make: Make) -> None:
    one, other = make()
    for payload in (b"", b"now", bytes(125)):
        assert carry(other, one, [Ping(payload)]) == [Ping(payload)]
        assert receive(other) == Pong(payload)


def check_a_pong_does_not_cut_into_a_message(make: Make) -> None:
    one, other = make()
    large = Binary(bytes(3 << 20))
    assert not one.send_nowait(large)
    assert carry(other, one, [Ping(b"first"), Ping(b"last")]) == [Ping(b"first"), Ping(b"last")]
    assert drain(one, other) == [large, Pong(b"last")]


def check_a_flood_of_pings_to_a_clogged_end_costs_no_memory(make: Make) -> None:
    one, other = make()
    sent = clog(one)
    waiting = len(one._out)
    for _ in range(50):
        carry(other, one, [Ping(b"%d" % number) for number in range(100)])
    for number in range(1000):
        one.send_nowait(Ping(b"%d" % number))
        one.send_nowait(Pong(b"%d" % number))
        one.announce(str(number))
    assert len(one._out) <= waiting
    assert drain(one, other) == [*[FILLING] * sent, Pong(b"999"), Ping(b"999"), Text("999")]


def check_a_close_is_sent_after_what_waits(make: Make) -> None:
    one, other = make()
    sent = clog(one)
    assert not one.send_nowait(Close(1000, "done"))
    received = drain(one, other)
    assert received == [*[FILLING] * sent, Close(1000, "done")]


def check_announcements_are_always_taken_and_the_last_counts(make: Make) -> None:
    one, other = make()
    assert one.announce("at once")
    assert receive(other) == Text("at once")
    clog(one)
    for text in ("wait", "wait", "linkup"):
        assert not one.announce(text)
    assert [m for m in drain(one, other) if isinstance(m, Text)] == [Text("linkup")]


def check_pongs_come_between_messages(make: Make) -> None:
    """While both ends write and read, no pong lies inside a message, and the last ping has its pong."""
    one, other = make()
    messages = [Binary(b"%d " % number + bytes(20_000)) for number in range(100)]
    waiting, received, pings, deadline = list(messages), list[Message](), 0, Deadline()
    while waiting or pings < 100 or Pong(b"99") not in received:
        assert not deadline.passed, f"{len(received)} have arrived"
        if one.flush() and waiting:
            one.send_nowait(waiting.pop(0))
        if pings < 100 and other.flush():
            other.send_nowait(Ping(b"%d" % pings))
            pings += 1
        one.receive_nowait()
        while (message := other.receive_nowait()) is not None:
            received.append(message)
    received += drain(one, other)
    assert [message for message in received if isinstance(message, Binary)] == messages
    pongs = [int(message.payload) for message in received if isinstance(message, Pong)]
    assert pongs == sorted(set(pongs))


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]

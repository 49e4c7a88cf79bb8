"""What every transport must do. A kind passes when each of CHECKS, here and in
check_transport_ends.py, passes with fresh links of it.

In each link `one` is the end under test and `other` its peer, which some checks make misbehave.
"""

from __future__ import annotations

import pytest

from medusa.protocol.errors import LocalProtocolError, MessageTooBig
from medusa.protocol.messages import MAX_MESSAGE, Binary, Close, Message, Ping, Pong, Text
from medusa.transports.base import ClosedTransport
from tests.conformance.driving import FILLING, SHORT, Aside, Make, carry, clog, drain, waiting_reader, write_raw
from tests.waiting import PATIENCE, wait_until

# ---------------------------------------------------------------------- messages


def check_echo_of_both_kinds_both_ways(make: Make) -> None:
    one, other = make()
    messages: list[Message] = [
        Text("é\0😀"),
        Binary(b"\xff\0"),
        Text(""),
        Binary(b""),
        Text("medusa"),
        Binary(b"medusa:"),
    ]
    assert carry(one, other, messages) == messages
    assert carry(other, one, messages) == messages


def check_order_is_kept(make: Make) -> None:
    one, other = make()
    messages = [(Text(str(at)), Binary(b"%d" % at), Pong(b"%d" % at))[at % 3] for at in range(2000)]
    assert carry(one, other, messages) == messages


def check_boundaries_of_every_size_are_kept(make: Make) -> None:
    one, other = make()
    sizes = [0, 1, 125, 126, 127, 0, 65535, 65536, 65537, 0, 1 << 20]
    messages = [Binary(bytes(size)) for size in sizes] + [Text("x" * size) for size in sizes]
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
    assert isinstance(one.receive(PATIENCE), Close)


def check_the_limit_is_an_option(make: Make) -> None:
    one, other = make(max_message=1000)
    assert carry(other, one, [Binary(bytes(1000))]) == [Binary(bytes(1000))]
    other.send(Binary(bytes(1001)), PATIENCE)
    with pytest.raises(MessageTooBig):
        one.receive(PATIENCE)
    assert isinstance(close := other.receive(PATIENCE), Close)
    assert close.code == 1009


def check_any_cut_of_the_bytes_gives_the_same_messages(make: Make) -> None:
    one, other = make()
    messages: list[Message] = [Text("é" * 100), Binary(bytes(300)), Binary(b""), Ping(b"p")]
    heard: list[Message] = []
    for byte in b"".join(other._codec.frame(message) for message in messages):
        write_raw(other, bytes((byte,)))
        heard += filter(None, [one.receive_nowait()])
    while len(heard) < len(messages):
        heard.append(one.receive(PATIENCE))
    assert heard == messages


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
    with pytest.raises(TimeoutError):
        one.send(Binary(b"x"), timeout=SHORT)
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
        assert other.receive(PATIENCE) == Pong(payload)


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


def check_a_close_goes_behind_what_waits(make: Make) -> None:
    one, other = make()
    sent = clog(one)
    assert not one.send_nowait(Close(1000, "done"))
    heard = drain(one, other)
    assert heard == [*[FILLING] * sent, Close(1000, "done")]


def check_announcements_are_always_taken_and_the_last_counts(make: Make) -> None:
    one, other = make()
    assert one.announce("at once")
    assert other.receive(PATIENCE) == Text("at once")
    clog(one)
    for text in ("wait", "wait", "linkup"):
        assert not one.announce(text)
    assert [m for m in drain(one, other) if isinstance(m, Text)] == [Text("linkup")]


# ---------------------------------------------------------------------- threads


def check_receive_waits_for_its_time(make: Make) -> None:
    one, other = make()
    for timeout in (0, SHORT):
        with pytest.raises(TimeoutError):
            one.receive(timeout)
    reader = waiting_reader(one)
    other.send(Text("x"), PATIENCE)
    assert reader.result() == Text("x")


def check_two_readers_are_an_error_and_do_no_harm(make: Make) -> None:
    one, other = make()
    reader = waiting_reader(one)
    for misuse in (one.receive_nowait, one.receive):
        with pytest.raises(LocalProtocolError):
            misuse()
    other.send(Binary(b"x"), PATIENCE)
    assert reader.result() == Binary(b"x")
    other.send(Binary(b"y"), PATIENCE)
    assert one.receive(PATIENCE) == Binary(b"y")


def check_senders_take_turns_and_pongs_come_between(make: Make) -> None:
    one, other = make()
    senders, each, size = 4, 25, 20_000

    def send(name: int) -> None:
        for number in range(each):
            one.send(Binary(b"%d %d " % (name, number) + bytes(size)), PATIENCE)

    def answer() -> None:
        while one.receive(PATIENCE) != Text("done"):
            pass

    threads = [Aside(lambda name=name: send(name)) for name in range(senders)]  # type: ignore[misc]
    reader = Aside(answer)
    heard: list[list[int]] = [[] for _ in range(senders)]
    for count in range(senders * each):
        other.send(Ping(b"%d" % count), PATIENCE)
        while not isinstance(message := other.receive(PATIENCE), Binary):
            assert isinstance(message, Pong)
        assert message.data[-size:] == bytes(size)
        name, number, _ = message.data[: -size + 1].split(b" ")
        heard[int(name)].append(int(number))
    other.send(Text("done"), PATIENCE)
    for thread in (*threads, reader):
        thread.result()
    assert heard == [list(range(each))] * senders


def check_a_sender_waits_for_a_sender_no_longer_than_it_was_told(make: Make) -> None:
    one, _ = make()
    clog(one)
    first = Aside(lambda: one.send(Binary(b"first")))
    wait_until(one._sending.locked)
    with pytest.raises(TimeoutError):
        one.send(Binary(b"second"), timeout=SHORT)
    one.abort()
    with pytest.raises(ClosedTransport):
        first.result()


def check_abort_wakes_up_who_waits(make: Make) -> None:
    one, _ = make()
    reader = waiting_reader(one)
    sender = Aside(lambda: one.send(Binary(bytes(3 << 20))))
    wait_until(lambda: one.wants_write)
    one.abort()
    for thread in (reader, sender):
        with pytest.raises(ClosedTransport):
            thread.result()


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]

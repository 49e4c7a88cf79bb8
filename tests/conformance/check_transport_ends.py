"""How every transport must end: closed, aborted, lost, and failed for what its peer did."""

from __future__ import annotations

import threading
import time

import pytest

from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.messages import MAX_REASON, Binary, Close, Message, Ping, Text
from medusa.transports.base import BrokenTransport, ClosedTransport
from tests.blocking import receive, send
from tests.conformance.driving import FILLING, SHORT, Make, aside, clog, ended, write_raw
from tests.waiting import PATIENCE, wait_until


def check_close(make: Make) -> None:
    one, other = make()
    peer = aside(lambda: [receive(other), ended(other)])
    one.close(4000, "é" * 100)
    close, error = peer.result(PATIENCE)
    assert close == Close(4000, "é" * (MAX_REASON // 2))
    assert isinstance(error, ClosedTransport)
    assert error.close == close
    for use in (one.receive_nowait, lambda: one.send_nowait(Text("x")), lambda: one.send_nowait(Ping())):
        with pytest.raises(ClosedTransport):
            use()
    with pytest.raises(ClosedTransport):
        send(other, Text("x"))
    assert one.fileno() == -1


def check_closing_and_aborting_again_do_nothing(make: Make) -> None:
    for first in ("close", "abort"):
        one, other = make()
        getattr(one, first)(**({"timeout": SHORT} if first == "close" else {}))
        for again in (one.abort, one.close, one.abort, lambda: one.close(1001, "again", 0)):  # noqa: B023
            again()
        other.close(timeout=SHORT)
        assert isinstance(ended(one), ClosedTransport)


def check_both_close_at_once(make: Make) -> None:
    one, other = make()
    both = [aside(lambda: one.close(1000, "one")), aside(lambda: other.close(1000, "other"))]
    begun = time.monotonic()
    for end in both:
        end.result(PATIENCE)
    assert time.monotonic() - begun < PATIENCE
    assert isinstance(ended(one), ClosedTransport)
    assert isinstance(ended(other), ClosedTransport)


def check_close_does_not_wait_for_a_peer_that_does_not_answer(make: Make) -> None:
    for clogged in (False, True):
        one, _ = make()
        if clogged:
            clog(one)
        begun = time.monotonic()
        one.close(timeout=SHORT)
        assert time.monotonic() - begun < PATIENCE / 2


def check_close_does_not_wait_for_a_peer_that_goes_on_sending(make: Make) -> None:
    one, other = make()
    frame, stop = other._codec.frame(Binary(b"x")) * 1000, threading.Event()

    def flood() -> None:
        try:
            while not stop.is_set():
                write_raw(other, frame)
        except OSError:
            pass

    flooding = aside(flood)
    begun = time.monotonic()
    one.close(timeout=SHORT)
    assert time.monotonic() - begun < PATIENCE / 2
    stop.set()
    flooding.result(PATIENCE)


def check_a_close_is_answered_after_what_waits(make: Make) -> None:
    one, other = make()
    sent = clog(one)
    other.send_nowait(Close(1000, "enough"))
    assert wait_until(one.receive_nowait) == Close(1000, "enough")
    closing = aside(lambda: one.close(timeout=PATIENCE))
    received = [receive(other) for _ in range(sent + 1)]
    closing.result(PATIENCE)
    assert received == [*[FILLING] * sent, Close(1000, "")]


def check_what_was_sent_before_a_close_arrives(make: Make) -> None:
    one, other = make()
    messages: list[Message] = [Text("a"), Binary(b"b"), Close(3000, "c")]
    for message in messages:
        send(other, message)
    other.abort()
    assert [receive(one) for _ in messages] == messages
    error = ended(one)
    assert isinstance(error, ClosedTransport)
    assert error.close == Close(3000, "c")


def check_what_was_sent_before_a_loss_arrives(make: Make) -> None:
    one, other = make()
    send(other, Text("last words"))
    other.abort()
    assert receive(one) == Text("last words")
    assert isinstance(ended(one), BrokenTransport)
    with pytest.raises(BrokenTransport):
        one.send_nowait(Text("x"))
    one.abort()
    assert isinstance(ended(one), ClosedTransport)


def check_what_was_sent_before_writing_failed_arrives(make: Make) -> None:
    one, other = make()
    for text in ("last", "words"):
        send(other, Text(text))
    other.abort()

    def fails() -> bool:
        try:
            one.send_nowait(Ping())
        except BrokenTransport:
            return True
        return False

    wait_until(fails)
    assert one.write_failed
    assert not one.wants_write
    assert [receive(one), receive(one)] == [Text("last"), Text("words")]
    assert isinstance(ended(one), BrokenTransport)


def check_a_message_cut_off_anywhere_is_a_loss(make: Make) -> None:
    frame = make()[1]._codec.frame(Text("never whole"))
    for size in range(len(frame)):
        one, other = make()
        write_raw(other, frame[:size])
        other.abort()
        assert isinstance(ended(one), BrokenTransport)


def check_asking_again_after_the_end_keeps_nothing(make: Make) -> None:
    one, other = make()
    other.abort()
    depths = set()
    for _ in range(3):
        frame, depth = ended(one).__traceback__, 0
        while frame is not None:
            frame, depth = frame.tb_next, depth + 1
        depths.add(depth)
    assert len(depths) == 1


def check_a_peer_that_breaks_the_rules_gets_one_close_and_is_ignored(make: Make) -> None:
    one, other = make()
    write_raw(other, b"\x7f" * 20)
    with pytest.raises(RemoteProtocolError) as caught:
        wait_until(one.receive_nowait)
    close = receive(other)
    assert isinstance(close, Close)
    assert close.code == caught.value.close_code == 1002
    write_raw(other, other._codec.frame(Text("x")) + b"\x7f" * 20)
    wait_until(lambda: one.receive_nowait() is None and one.received >= 40)
    with pytest.raises(ClosedTransport):
        one.send_nowait(Text("x"))
    other.abort()
    assert isinstance(ended(one), BrokenTransport)


def check_finish_and_discard(make: Make) -> None:
    one, other = make()
    one.finish()
    with pytest.raises(ClosedTransport):
        one.send_nowait(Text("x"))
    write_raw(other, bytes(10))
    assert not one.discard()
    assert isinstance(ended(other), BrokenTransport)
    other.abort()
    wait_until(one.discard)


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]

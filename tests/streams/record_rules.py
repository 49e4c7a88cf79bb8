"""The rules of records: offsets, acknowledgements, replay, what is kept."""

from __future__ import annotations

from tests.streams.rule import rule
from tests.streams.wire import KIB, NOISE, fails, linked, record, sends
from tests.streams.world import CLIENT, Code, World


@rule
def records_have_offsets(code: Code) -> None:
    stream = linked(code)
    assert sends(stream, b"ab", b"c") == record(1, 0, b"abc")
    assert sends(stream, b"d") == record(1, 3, b"d")
    stream.receive(record(1, 0, b"xyz"), 0.0)
    assert sends(stream, b"e") == record(2, 3) + record(1, 4, b"e")
    assert sends(stream, b"f") == record(1, 5, b"f")


@rule
def a_message_is_as_long_as_it_may_be(code: Code) -> None:
    sizes = []

    def source(limit: int, data: int, total: int) -> list[bytes]:
        sizes.append((limit, data, total))
        return [bytes(limit)]

    stream = linked(code)
    stream.receive(record(1, 0, b"x"), 0.0)
    first = stream.next_message(source, 0.0)
    assert len(b"".join(first)) == 128 * KIB
    second = stream.next_message(source, 0.0)
    assert len(b"".join(second)) == 128 * KIB - 9
    mib = KIB * KIB
    most, kept = 128 * KIB - 18, 3 * mib + 256 * KIB
    assert sizes == [(most, 3 * mib, kept), (most, 3 * mib - most, kept - most)]
    for told, size in ((200 * KIB, 200 * KIB), (2 * mib, mib)):
        stream = code.stream.Stream()
        assert stream.link_up(0, told)
        assert len(b"".join(stream.next_message(source, 0.0))) == size - 9
        assert len(b"".join(stream.next_message(source, 0.0, 64 * KIB))) == 64 * KIB - 9


@rule
def what_arrives_twice_is_cut(code: Code) -> None:
    stream = linked(code)
    assert stream.receive(record(1, 0, b"abcde"), 0.0) == b"abcde"
    assert stream.receive(record(1, 0, b"abc"), 0.0) == b""
    assert stream.receive(record(1, 0, b"abcde"), 0.0) == b""
    assert stream.receive(record(1, 3, b"defg"), 0.0) == b"fg"
    assert stream.receive(record(1, 7, b"h"), 0.0) == b"h"
    assert stream.received == 8
    fails("gap", lambda: stream.receive(record(1, 9, b"j"), 0.0))


@rule
def acknowledgements_come_in_time(code: Code) -> None:
    stream = linked(code)
    assert sends(stream, now=9.0) is None
    stream.receive(record(1, 0, b"a"), 10.0)
    assert stream.deadline() == 10.0  # the first data of a link
    assert sends(stream, now=10.0) == record(2, 1)
    assert stream.deadline() is None
    assert sends(stream, now=99.0) is None
    stream.receive(record(1, 1, b"b"), 100.0)
    stream.receive(record(1, 2, b"c"), 100.03)
    assert stream.deadline() == 100.05
    assert sends(stream, now=100.04) is None
    assert sends(stream, now=100.05) == record(2, 3)
    stream.receive(record(1, 3, bytes(524_287)), 101.0)
    assert sends(stream, now=101.0) is None
    stream.receive(record(1, 524_290, b"z"), 101.0)
    assert sends(stream, now=101.0) == record(2, 524_291)
    stream.receive(record(1, 524_290, b"z"), 102.0)
    assert stream.deadline() is None


@rule
def acknowledgements_are_within_what_was_sent(code: Code) -> None:
    stream = linked(code)
    sends(stream, b"abc")
    stream.receive(record(2, 2), 0.0)
    assert (stream.acknowledged, stream.kept) == (2, 1)
    stream.receive(record(2, 1), 0.0)
    assert (stream.acknowledged, stream.kept) == (2, 1)
    stream.receive(record(2, 3), 0.0)
    assert (stream.acknowledged, stream.kept) == (3, 0)
    fails("ack-ahead", lambda: stream.receive(record(2, 4), 0.0))


@rule
def a_new_link_gets_what_the_peer_lacks(code: Code) -> None:
    stream = linked(code)
    sent = NOISE[:100_000]
    for at in range(0, len(sent), 10_000):
        sends(stream, sent[at : at + 10_000])
    stream.receive(record(2, 20_005), 0.0)
    stream.link_down()
    assert sends(stream, b"x") is None
    assert not stream.link_up(20_004)
    assert not stream.link_up(100_001)
    for received in (20_005, 20_006, 39_999, 40_000, 99_999, 100_000):
        assert stream.link_up(received)
        at = received
        while at < len(sent):
            message = sends(stream, b"never yet")
            assert message is not None
            assert len(message) <= 128 * KIB
            assert message == record(1, at, sent[at : at + len(message) - 9])
            at += len(message) - 9
        assert stream.kept == len(sent) - received
        stream.link_down()
    assert stream.link_up(100_000)
    assert sends(stream, b"new") == record(1, 100_000, b"new")


@rule
def an_acknowledgement_may_pass_a_replay(code: Code) -> None:
    stream = linked(code)
    for _ in range(3):
        sends(stream, bytes(60_000))
    stream.link_down()
    assert stream.link_up(0)
    first = sends(stream)
    assert first is not None
    stream.receive(record(2, 170_000), 0.0)
    assert sends(stream) == record(1, 170_000, bytes(10_000))
    assert sends(stream) is None


@rule
def a_round_trip_is_the_least_of_the_last_minutes_on_one_link(code: Code) -> None:
    stream = linked(code)
    assert stream.round_trip.get() == 0.0
    for at, seconds in ((1.0, 0.5), (2.0, 0.25), (3.0, 0.375)):
        sends(stream, b"x", now=at)
        sends(stream, b"y", now=at + 0.125)
        stream.receive(record(2, stream.sent - 1), at + seconds)
        stream.receive(record(2, stream.sent), at + 10 * seconds)
    assert stream.round_trip.get() == 0.25
    for at, least in ((299.0, 0.25), (302.0, 0.5)):
        sends(stream, b"xx", now=at)
        stream.receive(record(2, stream.sent - 1), at + 0.1)
        stream.receive(record(2, stream.sent), at + 0.5)
        assert stream.round_trip.get() == least
    sends(stream, b"x", now=303.0)
    stream.link_down()
    stream.link_up(stream.sent)
    assert stream.round_trip.get() == 0.0


@rule
def what_is_kept_is_bounded(code: Code) -> None:
    world = World(code)
    channel = world.open("tcp", host="h", port=1)
    world.settle()
    client = world.ends[CLIENT]
    channel.writers[0].limit = 1 << 30  # a peer that would take anything, and acknowledges nothing

    def flood() -> None:
        while channel.write(0, NOISE[: channel.room(0)]) or world.send(CLIENT):
            pass

    flood()
    limit = code.stream.MAX_KEPT
    assert limit - 2000 < client.stream.kept <= limit
    assert channel.room(0) < 960 * KIB
    kept = client.stream.kept
    channel.request("signal", name="INT")
    assert world.send(CLIENT) == 1
    assert kept < client.stream.kept < kept + 100
    client.stream.receive(record(2, client.stream.acknowledged + 100_000), 0.0)
    flood()
    assert limit - 2000 < client.stream.kept <= limit

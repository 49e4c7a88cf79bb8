"""The long link of the benchmark: when packets arrive, and which ones do not."""

from __future__ import annotations

import math

from bench.peers.long_link import Way


def test_packets_arrive_in_order_after_the_delay() -> None:
    way = Way(delay=0.05, rate=0.0, queue=0, loss=0.0, seed=1)
    assert way.next_at() == math.inf
    way.send(b"a", 1.0)
    way.send(b"b", 1.01)
    assert way.next_at() == 1.05
    assert list(way.arrived(1.049)) == []
    assert list(way.arrived(1.05)) == [b"a"]
    assert list(way.arrived(2.0)) == [b"b"]
    assert way.next_at() == math.inf


def test_a_share_of_the_packets_is_lost() -> None:
    way = Way(delay=0.0, rate=0.0, queue=0, loss=0.1, seed=1)
    for _ in range(10_000):
        way.send(b"x", 0.0)
    assert 800 < 10_000 - len(list(way.arrived(0.0))) < 1200


def test_packets_wait_for_the_rate_and_are_dropped_if_too_many_wait() -> None:
    way = Way(delay=1.0, rate=1000.0, queue=250, loss=0.0, seed=1)
    for name in (b"a", b"b", b"c", b"d", b"e"):
        way.send(100 * name, 0.0)
    assert [(at, list(way.arrived(at))) for at in (1.1, 1.2, 1.3)] == [
        (1.1, [100 * b"a"]),
        (1.2, [100 * b"b"]),
        (1.3, [100 * b"c"]),
    ]
    assert way.next_at() == math.inf  # the other two found 300 bytes that waited
    way.send(b"f", 5.0)
    assert way.next_at() == 6.001

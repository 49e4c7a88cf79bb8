from __future__ import annotations

from collections.abc import Iterator

import pytest

from medusa.protocol.errors import LocalProtocolError
from medusa.protocol.messages import Binary, Ping, Pong
from medusa.transports.relayed import RELAY_MOST, RELAY_START, new_scratch
from tests.frames import BINARY, PING, client, frame, head, headers_of, read
from tests.links import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.link.abort()


def test_control_frames_wait_for_the_end_of_a_relayed_frame(bench: Bench) -> None:
    link = bench.link
    assert link.relay_write([head(BINARY, 10, key=None), b"12345"], mid_frame=True)
    assert link.send_nowait(Ping(b"1"))
    assert link.announce("hello")
    bench.peer.send(frame(PING, b"2") + frame(PING, b"3"))
    link.receive_nowait()
    link.receive_nowait()
    assert not link.wants_write
    assert link.mid_frame
    with pytest.raises(LocalProtocolError):
        link.send_nowait(Binary(b"data"))
    assert headers_of(bench.received()) == [(True, BINARY, 10)]
    assert link.relay_write([b"67890"], mid_frame=False)
    assert bench.received() == b"67890" + b"\x8a\x013" + b"\x89\x011" + b"\x81\x05hello"


def test_control_frames_pass_where_the_next_large_frame_begins(bench: Bench) -> None:
    link = bench.link
    link.relay_write([head(BINARY, 4, key=None), b"ab"], mid_frame=True)
    link.send_nowait(Ping(b"1"))
    link.relay_write([b"cd", head(BINARY, 4, key=None), b"ef"], mid_frame=True, boundary=2)
    assert bench.received()[2:] == b"abcd" + b"\x89\x011" + b"\x82\x04ef"
    assert link.mid_frame


def test_relay_write_needs_a_flushed_link(bench: Bench) -> None:
    bench.near.clog()
    assert not bench.link.relay_write([b"\x82\x01x"], mid_frame=False)
    with pytest.raises(LocalProtocolError):
        bench.link.relay_write([b"\x82\x01y"], mid_frame=False)
    bench.near.clog(False)
    assert bench.link.flush()
    assert bench.received() == b"\x82\x01x"


def test_each_ping_of_a_read_is_answered_unless_the_link_is_clogged(bench: Bench) -> None:
    pings = b"".join(frame(PING, b"%d" % number) for number in range(400))
    bench.peer.send(pings)
    relayed = bench.link.relay_read(bench.link.framing)
    assert relayed is not None
    assert len(relayed.pings) == 400
    assert read(client(), bench.received()) == [Pong(b"%d" % number) for number in range(400)]
    bench.near.clog()
    for _ in range(10):
        bench.peer.send(pings)
        bench.link.relay_read(bench.link.framing)
    bench.near.clog(False)
    bench.link.flush()
    pongs = read(client(), bench.received())
    assert len(pongs) <= 401
    assert pongs[-1] == Pong(b"399")


def test_a_flood_of_small_frames_is_read_in_small_pieces(bench: Bench) -> None:
    def read_sizes(data: bytes, reads: int) -> list[int]:
        sizes = []
        assert bench.peer.send(data) == len(data)
        for _ in range(reads):
            before = bench.link.received
            bench.link.relay_read(bench.link.framing)
            sizes.append(bench.link.received - before)
        return sizes

    doubling = [RELAY_START << n for n in range(7)]
    assert doubling[-1] == RELAY_MOST
    assert read_sizes(frame(BINARY, bytes(sum(doubling) - 14)), 7) == doubling
    assert not bench.link.costly
    assert read_sizes(frame(PING) * 60_000, 4) == [RELAY_MOST, RELAY_START, RELAY_START, RELAY_START]
    assert bench.link.costly


def test_links_may_share_what_they_read_into() -> None:
    scratch = new_scratch()
    one, other = Bench(scratch=scratch), Bench(scratch=scratch)
    for bench, payload in ((one, b"1" * 9000), (other, b"2" * 9000)):
        bench.peer.send(frame(BINARY, payload))
    received = {one: b"", other: b""}
    for _ in range(2):
        for bench, other_bench in ((one, other), (other, one)):
            relayed = bench.link.relay_read(other_bench.link.framing)
            assert relayed is not None
            received[bench] += b"".join(relayed.pieces)
    assert received == {one: frame(BINARY, b"1" * 9000, key=None), other: frame(BINARY, b"2" * 9000, key=None)}


@pytest.mark.parametrize("size", [10, 4000, 60_000])
@pytest.mark.parametrize("step", [1000, 4096, 5000, 70_000])
def test_held_bytes_of_a_frame_come_before_the_next_read(size: int, step: int) -> None:
    bench = Bench(scratch=new_scratch())
    payloads = [bytes([number]) * size for number in range(20)]
    data, received = b"".join(frame(BINARY, payload) for payload in payloads), b""
    for at in range(0, len(data), step):
        bench.peer.send(data[at : at + step])
        while (relayed := bench.link.relay_read(bench.link.framing)) is not None:
            received += b"".join(relayed.pieces)
            assert not bench.link.reading_mid_frame
    assert received == b"".join(frame(BINARY, payload, key=None) for payload in payloads)


def test_last_read_is_the_size_of_the_last_read(bench: Bench) -> None:
    for size in (10, 0, 20):
        bench.peer.send(bytes(size))
        bench.link.relay_read(bench.link.framing)
        assert bench.link.last_read == size

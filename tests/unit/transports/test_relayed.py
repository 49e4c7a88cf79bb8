from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from medusa.protocol.errors import LocalProtocolError, MessageTooBig, PolicyViolation
from medusa.protocol.messages import Binary, Ping, Pong
from medusa.protocol.relay import Relayed
from medusa.reflector.relay.budget import Budget
from medusa.transports.base import BrokenTransport
from medusa.transports.relayed import RELAY_MOST, RELAY_START, UNCOUNTED, new_scratch
from tests.frames import BINARY, CLOSE, CONT, PING, client, frame, head, headers_of, read
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


@pytest.mark.parametrize("way", ["write", "end", "breach"])
def test_a_link_that_has_failed_leaves_nothing_to_collect(way: str) -> None:
    """A reflector's garbage collector comes so rarely that what waits for it would take much memory."""
    bench = Bench()
    gc.disable()
    try:
        if way == "breach":
            bench.peer.send(b"\xff\xff" + frame(BINARY, bytes(60_000)))
            relayed = bench.link.relay_read(bench.link.framing)
            assert relayed is not None
            assert relayed.error is not None
            del relayed
        else:
            bench.peer.close()
            assert _fails(bench, way)
        bench.link.abort()
        link = weakref.ref(bench.link)
        del bench
        assert link() is None
    finally:
        gc.enable()


def _fails(bench: Bench, way: str) -> bool:
    try:  # pytest.raises would keep the error
        if way == "write":
            bench.link.send_nowait(Ping(b""))
        else:
            bench.link.relay_read(bench.link.framing)
    except BrokenTransport:
        return True
    return False


class TestHeld:
    """What a link holds for its peer is counted, and given back on every way out."""

    @pytest.fixture
    def budget(self) -> Budget:
        return Budget(300_000, 200_000)

    @pytest.fixture
    def bench(self, budget: Budget) -> Iterator[Bench]:
        bench = Bench()
        bench.link.share = budget.share(login="alice")
        yield bench
        bench.link.abort()
        assert budget.used == 0

    @staticmethod
    def read_all(bench: Bench, *frames: bytes) -> Relayed:
        bench.peer.send(b"".join(frames))
        result = Relayed()
        while (relayed := bench.link.relay_read(bench.link.framing)) is not None:
            result = relayed
            if relayed.error or relayed.close:
                break
        return result

    def test_little_is_not_counted(self, bench: Bench, budget: Budget) -> None:
        self.read_all(bench, frame(BINARY, bytes(4000), fin=False))
        assert budget.used == 0

    @pytest.mark.parametrize("way", ["finished", "close", "breach", "end", "skipped", "refused", "aborted"])
    def test_an_unfinished_message(self, bench: Bench, budget: Budget, way: str) -> None:
        self.read_all(bench, frame(BINARY, bytes(100_000), fin=False))
        assert budget.used == 100_000 - UNCOUNTED
        if way == "finished":
            assert self.read_all(bench, frame(CONT, b".")).messages == 1
        elif way == "close":
            assert self.read_all(bench, frame(CLOSE)).close is not None
        elif way == "breach":
            assert self.read_all(bench, frame(BINARY)).error is not None
        elif way == "end":
            bench.peer.close()
            with pytest.raises(BrokenTransport):
                bench.link.relay_read(bench.link.framing)
        elif way == "skipped":
            bench.link.skip_message()
            self.read_all(bench, frame(CONT, bytes(100_000), fin=False))
        elif way == "refused":
            bench.link.refuse(PolicyViolation("too slow"))
        else:
            bench.link.abort()
        assert budget.used == 0

    def test_a_peer_that_asks_for_too_much_is_refused_and_all_is_dropped(self, bench: Bench, budget: Budget) -> None:
        error = self.read_all(
            bench, *[frame(CONT if at else BINARY, bytes(50_000), fin=False) for at in range(9)]
        ).error
        assert isinstance(error, MessageTooBig)
        assert (budget.used, budget.refusals) == (0, 1)
        assert bench.received()[2:4] == (1009).to_bytes(2, "big")

    def test_frames_are_never_refused_even_if_all_is_used_up(self, bench: Bench, budget: Budget) -> None:
        other = budget.share(login="other")
        other.add(300_000)
        data = b"".join(frame(BINARY, bytes(size)) for size in (10, 5000, 60_000, 65_536, 4080, 4081, 4096, 70_000))
        received = 0
        for at in range(0, len(data), 3000):
            result = self.read_all(bench, data[at : at + 3000])
            received += result.size
            assert (result.error, budget.used) == (None, 300_000)
        assert received == sum((10, 5000, 60_000, 65_536, 4080, 4081, 4096, 70_000))
        other.add(-300_000)

    @pytest.mark.parametrize("way", ["read", "broken", "aborted"])
    def test_what_the_peer_does_not_read(self, bench: Bench, budget: Budget, way: str) -> None:
        bench.near.clog()
        bench.link.relay_write([frame(BINARY, bytes(60_000), key=None)], mid_frame=False)
        assert 60_000 - UNCOUNTED <= budget.used <= 60_010 - UNCOUNTED
        if way == "read":
            bench.near.clog(False)
            assert bench.link.flush()
        elif way == "broken":
            bench.peer.close()
            with pytest.raises(BrokenTransport):
                bench.link.flush()
        else:
            bench.link.abort()
        assert budget.used == 0

    def test_a_tight_share_is_read_in_small_pieces(self, bench: Bench, budget: Budget) -> None:
        sizes = []
        for at in range(20):
            bench.peer.send(frame(BINARY, bytes(50_000), key=bytes(4)))
            if at == 15:
                bench.link.share.add(200_000)
            relayed = bench.link.relay_read(bench.link.framing)
            assert relayed is not None
            sizes.append(bench.link.last_read)
            assert bench.link.costly is (at >= 15)
        assert max(sizes[:15]) > 2 * RELAY_START
        assert max(sizes[15:]) == RELAY_START
        bench.link.share.add(-200_000)

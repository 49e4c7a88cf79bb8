from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from medusa.transports.bulk_reader import KEPT, LONG, SHORT, BulkReader


class Source:
    """Bytes that arrive in portions. Between two of them there are no bytes for one read."""

    def __init__(self, *sizes: int) -> None:
        self.data = bytes(range(251)) * (sum(sizes) // 251 + 1)
        self.data = self.data[: sum(sizes)]
        self.asked: list[int] = []
        self._at, self._sizes = 0, list(sizes)

    def read_into(self, block: memoryview) -> int | None:
        self.asked.append(len(block))
        if not self._sizes:
            return 0
        size = min(self._sizes[0], len(block))
        block[:size] = self.data[self._at : self._at + size]
        self._at += size
        self._sizes[0] -= size
        if not size:
            del self._sizes[0]
            return None
        return size


def taken(reader: BulkReader, room: int) -> list[Any]:
    """The pieces that `reader` yields to a caller that has room for `room` bytes."""
    found: list[Any] = []
    for piece in reader.pieces(lambda: room - sum(map(len, found))):
        assert piece
        found.append(piece)
    assert sum(map(len, found)) <= room
    return found


def pieces(reader: BulkReader, room: int) -> Iterator[bytes]:
    while not reader.ended:
        yield from map(bytes, taken(reader, room))


@pytest.mark.parametrize("room", [1000, SHORT, SHORT + 1, LONG, LONG + 1, 4 * LONG])
@pytest.mark.parametrize("sizes", [(1,), (100, 200), (SHORT,), (LONG,), (3 * LONG, 5), (SHORT - 1, 2 * LONG + 7, 1)])
def test_all_bytes_come_in_their_order(room: int, sizes: tuple[int, ...]) -> None:
    source = Source(*sizes)
    assert b"".join(pieces(BulkReader(source.read_into), room)) == source.data


def test_blocks_are_long_only_while_much_comes() -> None:
    source = Source(10, SHORT + 2 * LONG + 10, 10)
    reader = BulkReader(source.read_into)
    found = [[len(piece) for piece in taken(reader, 1 << 20)] for _ in range(3)]
    assert found == [[10], [], [SHORT, LONG, LONG, 10]]
    assert source.asked == [SHORT, SHORT, SHORT, LONG, LONG, LONG]
    assert taken(reader, 1 << 20) == []
    assert source.asked[-1] == SHORT


def test_a_little_room_is_no_long_block() -> None:
    source = Source(3 * LONG)
    reader = BulkReader(source.read_into)
    assert [len(piece) for piece in taken(reader, SHORT)] == [SHORT]
    (little,) = taken(reader, 1000)
    assert isinstance(little, bytes)
    assert source.asked == [SHORT, 1000]


def test_room_that_others_use_up_is_not_read() -> None:
    rooms = [1 << 20, 1 << 20, 0]
    reader = BulkReader(Source(3 * LONG).read_into)
    assert [len(piece) for piece in reader.pieces(lambda: rooms.pop(0))] == [SHORT, LONG]


def test_a_piece_holds_at_most_a_third_more_memory_than_its_bytes() -> None:
    """A block of which less was filled is copied."""
    _, copied = taken(BulkReader(Source(SHORT + KEPT).read_into), 1 << 20)
    assert isinstance(copied, bytes)
    _, kept = taken(BulkReader(Source(SHORT + KEPT + 1).read_into), 1 << 20)
    assert isinstance(kept, memoryview)
    assert memoryview(kept.obj).nbytes == LONG <= len(kept) * 4 / 3


@pytest.mark.parametrize("error", [BlockingIOError(), ConnectionResetError()])
def test_what_was_read_before_an_error_is_not_lost(error: OSError) -> None:
    source = Source(SHORT + 5)

    def read_into(block: memoryview) -> int | None:
        if len(source.asked) == 1:
            raise error
        return source.read_into(block)

    found = []
    reading = BulkReader(read_into).pieces(lambda: 1 << 20)
    found.append(next(reading))
    if isinstance(error, BlockingIOError):
        assert list(reading) == []
    else:
        with pytest.raises(ConnectionResetError):
            next(reading)
    assert len(found[0]) == SHORT


def test_nothing_is_read_without_room() -> None:
    source = Source(1)
    assert taken(BulkReader(source.read_into), 0) == []
    assert source.asked == []

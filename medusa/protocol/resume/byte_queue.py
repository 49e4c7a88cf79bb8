"""A queue of bytes that copies only small pieces."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Sequence, Union

Buffer = Union[bytes, memoryview]

SMALL = 4096
"""The largest size, in bytes, of a piece that is copied. Neighbours that together are not larger are joined.

A piece that is not copied keeps the whole message that it belongs to in memory. For a small piece, that would be much
more than its bytes.
"""

LEAST_MEAN = 1024
"""Bytes. Pieces that are added together and have fewer bytes on average are joined, because each object needs memory.
"""


class ByteQueue:
    """A queue of bytes: they are added at the end and dropped at the front. Large pieces are kept without a copy."""

    __slots__ = ("_pieces", "_size", "_start")

    def __init__(self) -> None:
        self._pieces: Deque[Buffer] = deque()
        self._start = 0  # how many bytes of the first piece were dropped: to cut the piece would copy it
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: Buffer) -> None:
        """Adds `data` at the end. The bytes of `data` must not change afterwards."""
        size = len(data)
        self._size += size
        if size > SMALL:
            self._pieces.append(data)
        elif self._pieces and len(self._pieces[-1]) + size <= SMALL:
            self._pieces[-1] = b"".join((self._pieces[-1], data))
        elif size:
            self._pieces.append(bytes(data))

    def extend(self, pieces: Sequence[Buffer]) -> int:
        """Adds `pieces` at the end, and returns the number of their bytes. The bytes must not change afterwards."""
        size = sum(map(len, pieces))
        if size < LEAST_MEAN * len(pieces):
            self.append(b"".join(pieces))
        else:
            self._pieces.extend(pieces)
            self._size += size
        return size

    def drop(self, size: int) -> None:
        """Drops the first `size` bytes. The queue must hold that many."""
        self._size -= size
        size += self._start
        pieces = self._pieces
        while pieces and size >= len(pieces[0]):
            size -= len(pieces.popleft())
        self._start = size

    def views(self, skip: int, limit: int) -> List[Buffer]:
        """Returns at most `limit` bytes from the offset `skip` on, in pieces. They stay in the queue."""
        found: List[Buffer] = []
        skip += self._start
        for piece in self._pieces:
            size = len(piece)
            if skip >= size:
                skip -= size
                continue
            if limit <= 0:
                break
            part = memoryview(piece)[skip : skip + limit]
            found.append(part)
            limit -= len(part)
            skip = 0
        return found

    def read(self, skip: int, limit: int) -> bytes:
        """Returns at most `limit` bytes from the offset `skip` on. They stay in the queue.

        Finds the last bytes soonest. Copies nothing if the result is one whole piece.
        """
        found: List[Buffer] = []
        at, stop = self._size, skip + limit
        for piece in reversed(self._pieces):
            at -= len(piece)
            if at < stop:
                found.append(piece[max(0, skip - at) : stop - at])
            if at <= skip:
                break
        return b"".join(reversed(found))

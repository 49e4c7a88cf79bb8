"""Reads the bytes of a pipe or socket for a channel: into a short block of memory, or a long one while much comes."""

from __future__ import annotations

from typing import Callable, Iterator, Optional

from medusa.protocol.channels.limits import MAX_QUEUED
from medusa.protocol.resume.byte_queue import Buffer

LONG = MAX_QUEUED
"""Bytes. The size of a long block.

Long blocks are all of this size, and none is cut. When blocks of up to 1 MiB were cut to what had been read, smaller
objects came to lie between them, and the process grew with the bytes that it had sent: by 20 MiB after 1.5 GB.
"""

SHORT = 64 * 1024
"""Bytes. The size of a short block. After a read of so many bytes, the next block is a long one if there is room."""

KEPT = LONG * 3 // 4
"""Bytes. If no more were read, they are copied, because they would keep a long block in memory as a whole."""


class BulkReader:
    """Reads bytes that will be kept until the peer has acknowledged them.

    Args:
        read_into: a function that reads into its argument and returns the number of bytes that were read, 0 at the end.
            If there are no bytes now, it returns None or raises BlockingIOError.

    Attributes:
        ended: True if `read_into` has returned 0.
    """

    def __init__(self, read_into: Callable[[memoryview], Optional[int]]) -> None:
        self._read_into = read_into
        self._much = self.ended = False  # much: the last read has brought SHORT bytes or more

    def pieces(self, room: Callable[[], int]) -> Iterator[Buffer]:
        """Reads what is there now, and yields it in pieces that are not empty.

        Args:
            room: a function that returns how many bytes may be read. It is called before each read, after the caller
                has used the last piece.
        """
        while size := room():
            block = memoryview(bytearray(LONG if self._much and size > SHORT else min(size, SHORT)))[:size]
            try:
                taken = self._read_into(block)
            except BlockingIOError:
                taken = None
            self._much = taken is not None and taken >= SHORT
            self.ended = taken == 0
            if taken:
                yield block[:taken] if taken > KEPT else bytes(block[:taken])
            if taken != len(block):
                return

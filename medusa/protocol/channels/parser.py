"""Cuts a stream into frames.

The payload of a DATA frame is passed on as it arrives. Any other frame is passed on when it is whole.
"""

from __future__ import annotations

from medusa.protocol.channels.frames import DATA, HEADER, check_header
from medusa.protocol.channels.limits import MAX_PAYLOAD


class FrameParser:
    """Cuts a stream into frames, and calls a method for each frame. A subclass defines these methods.

    Attributes:
        over: True if everything that comes from now on is dropped.
    """

    def __init__(self) -> None:
        self.over = False
        self._partial = bytearray()  # a frame whose rest is still to come; not the payload of DATA, which is passed on
        self._rest = 0  # payload bytes of a DATA frame that are still to come: `feed` gets them

    def begin_data(self, sub: int, length: int, number: int) -> None:
        """Is called for the header of each DATA frame. The payload of `length` bytes is passed to `feed` next.

        Args:
            sub: the number of the direction in which the bytes go.
            number: the number of the channel.
        """
        raise NotImplementedError

    def feed(self, piece: memoryview) -> None:
        """Is called for each piece of a DATA frame's payload."""
        raise NotImplementedError

    def process(self, kind: int, sub: int, number: int, payload: bytes) -> None:
        """Is called for each whole frame that is not DATA. `kind` is its type, and `number` its channel."""
        raise NotImplementedError

    def parse(self, data: memoryview) -> None:
        """Processes `data`, the next bytes of the stream, which may begin and end within frames.

        Raises:
            StreamError: a frame is malformed (`bad-frame`), or a method of the subclass has raised the error.
        """
        at, end = 0, len(data)
        while at < end and not self.over:
            if self._rest:
                stop = min(end, at + self._rest)
                self._rest -= stop - at
                self.feed(data[at:stop])
                at = stop
            elif self._partial or end - at < HEADER.size:
                at = self._gather(data, at)
            else:
                kind, sub, length, number = HEADER.unpack_from(data, at)
                if kind != DATA or not (0 < length <= MAX_PAYLOAD and number):
                    check_header(kind, sub, length, number)
                stop = at + HEADER.size
                if kind == DATA:
                    self._rest = length
                    self.begin_data(sub, length, number)
                elif stop + length <= end:
                    stop += length
                    self.process(kind, sub, number, bytes(data[stop - length : stop]))
                else:
                    self._partial += data[at:end]
                    stop = end
                at = stop

    def _gather(self, data: memoryview, at: int) -> int:
        """Adds bytes of `data`, from the index `at` on, to a frame of which a part has come.

        Processes the frame if it is whole.

        Returns the index in `data` of the first byte that was not used.
        """
        partial = self._partial
        if len(partial) < HEADER.size:
            stop = at + HEADER.size - len(partial)
            partial += data[at:stop]
            if len(partial) < HEADER.size:
                return len(data)
            at = stop
            kind, sub, length, number = HEADER.unpack_from(partial)
            check_header(kind, sub, length, number)
            if kind == DATA:
                partial.clear()
                self._rest = length
                self.begin_data(sub, length, number)
                return at
        kind, sub, length, number = HEADER.unpack_from(partial)
        size = HEADER.size + int(length)
        stop = at + size - len(partial)
        partial += data[at:stop]
        if len(partial) == size:
            payload = bytes(partial[HEADER.size :])
            partial.clear()
            self.process(kind, sub, number, payload)
        return min(stop, len(data))

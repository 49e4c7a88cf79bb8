"""The two ends of a sub, which is one direction of bytes in a channel: Reader and Writer."""

from __future__ import annotations

import hashlib
from binascii import crc32
from typing import Any, Callable, List, Mapping, Optional

from medusa.protocol.channels.frames import END, STOP, build_frame
from medusa.protocol.channels.limits import MIN_WINDOW
from medusa.protocol.channels.windows import TerminalWindow, Window, Windows
from medusa.protocol.errors import StreamError
from medusa.protocol.resume.byte_queue import Buffer, ByteQueue

NO_DIGEST = bytes(32)
"""Is sent in place of the digest of a sub that the peer has stopped. The peer does not check the digest then."""


class Crc32:
    """The CRC-32 of bytes, with the methods of a hash from hashlib."""

    def __init__(self) -> None:
        self._sum = 0

    def update(self, data: Buffer) -> None:
        """Adds `data` to the sum."""
        self._sum = crc32(data, self._sum)

    def digest(self) -> bytes:
        """Returns the sum in the last 4 bytes of 32."""
        return self._sum.to_bytes(32, "big")


class Reader:
    """The receiving end of one sub, which is one direction of bytes in a channel, such as stdout.

    Call `read` to get bytes. Or call `pieces`, and then `took` with the number of bytes that were used. The views that
    `pieces` returns are valid until the next bytes of the stream are processed.

    Attributes:
        received: the number of bytes that have arrived.
        taken: the number of bytes that the caller has taken.
        limit: the number of bytes that the peer may send, counted from the beginning of the sub.
        over: True if no more bytes will arrive.
        complete: True if the peer has ended the sub, and all its bytes have arrived as they were sent.
        stopped: True if this end wants no more bytes.
        check: sums up the bytes that have arrived, with the methods of a hash from hashlib. May be replaced before the
            first of them.
    """

    def __init__(
        self, sub: int, channel: int, windows: Windows, terminal: bool, control: Callable[[bytes], None]
    ) -> None:
        self._key = (sub, channel)
        self.received = self.taken = self.limit = 0
        self.over = self.complete = self.stopped = False
        self._terminal, self._control = terminal, control
        self._windows = windows
        self._window: Optional[Window] = None
        self._charged = 0
        self._queue = ByteQueue()
        self._fresh: List[memoryview] = []  # views of the last message: `settle` copies them
        self.check: Any = hashlib.sha256()
        self._charge()

    # ------------------------------------------------------------------ called by the user of the channel

    def __len__(self) -> int:
        return self.received - self.taken if not self.stopped else 0

    def pieces(self) -> List[Buffer]:
        """Returns the bytes that have arrived and were not taken yet, in order. Then call `took`."""
        return [*self._queue.views(0, len(self._queue)), *self._fresh] if self._queue else list(self._fresh)

    def took(self, size: int, now: float) -> None:
        """Drops the first `size` bytes, because the caller has taken them.

        Allows the peer to send more if enough were taken.
        """
        assert 0 <= size <= len(self)
        if size == len(self):
            self._fresh.clear()
            self._queue.drop(len(self._queue))
        else:
            self.settle()
            self._queue.drop(size)
        self.taken += size
        if not self.over and not self.stopped and self._window is not None:
            spare = self._windows.spare + self._charged - max(self._window.size, MIN_WINDOW)
            self._window.took(size, spare, now)
            self._grant(self._window.size)
        self._charge()

    def read(self, size: int, now: float) -> bytes:
        """Takes at most `size` of the bytes that have arrived, and returns them."""
        pieces, left = [], size
        for piece in self.pieces():
            if left <= 0:
                break
            pieces.append(piece[:left])
            left -= len(pieces[-1])
        data = b"".join(pieces)
        self.took(len(data), now)
        return data

    def stop(self) -> None:
        """Drops the bytes that have arrived, and tells the peer that no more are wanted."""
        # Before the channel is opened or accepted there is no window. Then `start` sends the STOP.
        if not self.over and not self.stopped and self._window is not None:
            self._control(build_frame(STOP, *self._key))
        self.discard()

    # ------------------------------------------------------------------ called by the multiplexer

    def start(self) -> None:
        """Allows the peer to send its first bytes. Call it when the channel is opened or accepted."""
        if self.stopped and not self.over:
            self._control(build_frame(STOP, *self._key))
        elif not self.over:
            spare = self._windows.spare + self._charged
            self._window = (TerminalWindow if self._terminal else Window)(spare, self._windows.round_trip)
            self._grant(self._window.size)
            self._charge()

    def feed(self, data: memoryview) -> bool:
        """Adds bytes that have arrived. The caller has checked that the peer may send them.

        Returns True if `data` are the first bytes of this sub in the current message. The caller then has to call
        `settle` before it processes the next message.
        """
        self.received += len(data)
        if self.stopped:
            return False
        self.check.update(data)
        self._fresh.append(data)
        return len(self._fresh) == 1

    def settle(self) -> None:
        """Copies the bytes that were not taken yet. Without a copy, they would keep the whole message in memory."""
        if self._fresh:
            self._queue.append(b"".join(self._fresh))
            self._fresh.clear()

    def end(self, count: int, digest: bytes) -> str:
        """Notes that the peer has ended the sub. Compares what has arrived with what the peer says that it has sent.

        Args:
            count: the number of bytes that the peer has sent.
            digest: the check of these bytes: their SHA-256, or their CRC-32.

        Returns:
            "" if both are right; otherwise the name of the wrong one, "count" or "digest".
        """
        wrong = ""
        if not self.stopped:
            if count != self.received:
                wrong = "count"
            elif count and digest != self.check.digest():  # before the channel is open, the check is not agreed on yet
                wrong = "digest"
            self.complete = not wrong
        self.cut()
        return wrong

    def cut(self) -> None:
        """Notes that no more bytes will arrive."""
        self.over = True
        self._windows.due.pop(self._key, None)
        self._charge()

    def discard(self) -> None:
        """Drops the bytes that have arrived, and all that will arrive."""
        self.stopped = True
        self._fresh.clear()
        self._queue.drop(len(self._queue))
        self._windows.due.pop(self._key, None)
        self._charge()

    def _grant(self, size: int) -> None:
        size = min(size, self._windows.budget.free + self._charged)
        more = self.taken + size - self.limit
        if more >= max(1, size // 4):
            self.limit += more
            self._windows.due[self._key] = self.limit

    def _charge(self) -> None:
        if self.stopped:
            used = 0
        elif self.over:
            used = self.received - self.taken
        else:
            used = max(MIN_WINDOW, self.limit - self.taken)
        self._windows.budget.use(used - self._charged)
        self._charged = used


class Writer:
    """The sending end of one sub, which is one direction of bytes in a channel, such as stdout.

    Attributes:
        limit: the number of bytes that the peer allows this end to send, counted from the beginning of the sub.
        written: the number of bytes that were queued so far.
        sent: the number of bytes that were put into frames so far.
        ended: True if the end of the sub was queued.
        stopped: True if the peer wants no more bytes.
        check: sums up the bytes that were queued, with the methods of a hash from hashlib. May be replaced before the
            first of them.
    """

    def __init__(self) -> None:
        self.limit = self.written = self.sent = 0
        self.ended = self.ended_on_wire = self.stopped = False
        self.check: Any = hashlib.sha256()

    def wrote(self, data: Buffer) -> None:
        """Counts `data` as queued, and adds them to the check."""
        self.written += len(data)
        self.check.update(data)

    def end(self) -> bytes:
        """Returns the payload of the frame EOF: the number of bytes that were sent, and their check.

        Sets `ended_on_wire`, so the caller must send the frame.
        """
        self.ended_on_wire = True
        return END.pack(self.sent, NO_DIGEST if self.stopped else self.check.digest())


def find_sub(ends: Mapping[int, Any], sub: int, channel: Any) -> Any:
    """Returns the Reader or Writer of the sub with the number `sub`. Raises StreamError (`bad-sub`) if there is none.

    Args:
        ends: the readers or the writers of `channel`, by the numbers of their subs.
    """
    try:
        return ends[sub]
    except KeyError:
        raise StreamError("bad-sub", "sub %d of channel %d (%s)" % (sub, channel.number, channel.kind)) from None

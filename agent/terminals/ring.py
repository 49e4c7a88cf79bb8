"""Keeps the last output of a terminal, for clients that come later or that read too slowly. No I/O."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Tuple

from medusa.protocol.resume.budget import Budget
from medusa.protocol.resume.byte_queue import ByteQueue
from medusa.protocol.terminal.tracker import Tracker

MAX_KEPT = 1024 * 1024
"""The most bytes of output that are kept."""

MIN_KEPT = 64 * 1024
"""Bytes that are kept even if the memory that all streams and terminals of the agent share is used up."""

COLOURS = 4096
"""Bytes. The colours that this much output before the first byte has set are set again."""

_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_COLOUR_RESET = re.compile(rb"\x1b\[0*(?:;|m)")


class Replay(NamedTuple):
    """The place in a terminal's output at which a client begins to show it.

    Attributes:
        offset: the number of the first byte to show. It begins a line, or at least a character or an escape sequence.
        prefix: the bytes to send before this byte. They bring an emulator from its usual state into the state that it
            had at this byte.
    """

    offset: int
    prefix: bytes


class Ring:
    """The last bytes of a terminal's output. All bytes of the output are numbered from 0 on.

    Args:
        memory: the memory that all streams and terminals of the agent share. The kept bytes are counted there.

    Attributes:
        start: the number of the first byte that is kept. All before it were dropped.
        end: the number of the next byte that will be appended.
    """

    def __init__(self, memory: Optional[Budget] = None) -> None:
        self.start = self.end = 0
        self._kept = ByteQueue()
        self._budget = Budget(MAX_KEPT, memory)
        self._tracker = Tracker()  # follows the dropped bytes, whose effects a replay has to repeat
        self._last_dropped = b""
        self._seen = 0  # output before this byte was sent to a client: the rest is lost if it is dropped

    def append(self, data: bytes) -> None:
        """Adds output, and drops the oldest output if there is too much."""
        self._kept.append(data)
        self.end += len(data)
        self._budget.use(len(data))
        excess = min(-self._budget.free, len(self._kept) - MIN_KEPT)
        if excess > 0:
            self._drop(excess)

    def read(self, offset: int, size: int) -> bytes:
        """Returns at most `size` bytes of output, from the byte number `offset` on.

        `offset` must be at least `start` and at most `end`.
        """
        return self._kept.read(offset - self.start, size)

    def sent(self, offset: int) -> None:
        """Notes that a client was sent the output before the byte number `offset`, or has skipped it."""
        self._seen = max(self._seen, offset)

    def unseen(self, offset: int) -> int:
        """Returns the number of bytes before the byte number `offset` that were sent to no client."""
        return max(0, offset - self._seen)

    def replay(self, size: int) -> Replay:
        """Returns the place at which to begin, in order to show about the last `size` bytes."""
        first = max(0, len(self._kept) - size)
        if not first and not self.start:
            return Replay(0, b"")
        kept = self.read(self.start, MAX_KEPT)
        at, tracker = self._line(kept, first) or self._boundary(kept, first)
        return Replay(self.start + at, tracker.restore() + _colours((self._last_dropped + kept[:at])[-COLOURS:]))

    @property
    def takes_note(self) -> bool:
        """True if a line may follow the output: it ends in no escape sequence, and the alternate screen is off."""
        tracker = self._state(self.read(self.start, MAX_KEPT))
        return tracker.whole and not tracker.state.screen

    def clear(self) -> None:
        """Drops all output, and gives the memory back. Do not use this object afterwards."""
        self._kept.drop(len(self._kept))
        self.start = self.end
        self._budget.leave()

    def _drop(self, size: int) -> None:
        for piece in self._kept.views(0, size):
            dropped = bytes(piece)
            self._tracker.feed(dropped)
            self._last_dropped = (self._last_dropped + dropped[-COLOURS:])[-COLOURS:]
        self._kept.drop(size)
        self.start += size
        self._budget.use(-size)

    def _line(self, kept: bytes, first: int) -> Optional[Tuple[int, Tracker]]:
        """Returns the index of the first line that begins at `first` or later, and the terminal's state there.

        Looks only at the first half of the output after `first`, and skips lines that begin inside an escape sequence.
        Returns None if it finds no line. Both indexes count the kept bytes from 0 on.
        """
        tracker, fed, last = self._state(b""), 0, first + (len(kept) - first) // 2
        if not first and self._last_dropped.endswith(b"\n") and tracker.whole:
            return 0, tracker
        at = kept.find(b"\n", max(0, first - 1)) + 1
        while 0 < at <= last:
            tracker.feed(kept[fed:at])
            fed = at
            if tracker.whole:
                return at, tracker
            at = kept.find(b"\n", at) + 1
        return None

    def _boundary(self, kept: bytes, first: int) -> Tuple[int, Tracker]:
        """Returns the index of the first character or sequence from `first` on, and the terminal's state there."""
        tracker, at = self._state(kept[:first]), first
        while not tracker.whole and at < len(kept):
            rest = kept[at:]
            size = tracker.unfinished(rest)
            tracker.feed(rest[:size])
            at += size
        while at < min(len(kept), first + 3) and kept[at] & 0xC0 == 0x80:  # continues a character
            at += 1
        return at, tracker

    def _state(self, first: bytes) -> Tracker:
        """Returns a tracker of the terminal's state after the bytes `first`, with which the kept output begins."""
        tracker = Tracker()
        tracker.state = self._tracker.state
        tracker.feed(first)
        return tracker


def _colours(output: bytes) -> bytes:
    """Returns the sequences for colours that are in effect at the end of `output`."""
    found: List[bytes] = []
    for sequence in _COLOUR.findall(output):
        if _COLOUR_RESET.match(sequence):
            found.clear()
        if sequence not in (b"\x1b[m", b"\x1b[0m"):
            found.append(sequence)
    return b"".join(found)

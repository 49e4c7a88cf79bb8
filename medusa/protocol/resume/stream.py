"""One end of a stream: numbers bytes, acknowledges those that arrive, and keeps those that may have to be sent again.

Does no I/O and reads no clock: the caller passes the time, in seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

from medusa.protocol.errors import StreamError
from medusa.protocol.resume.budget import Budget
from medusa.protocol.resume.byte_queue import Buffer, ByteQueue
from medusa.protocol.resume.records import ACK, DATA, LEAST_LIMIT, MAX_MESSAGE, NOTHING, RECORD, parse_message
from medusa.protocol.resume.round_trip import RoundTrip

MAX_KEPT = 3 * 1024 * 1024
"""The most bytes that are kept because they are not acknowledged. While there are so many, no data are sent."""

MAX_KEPT_CONTROL = 256 * 1024
"""Bytes that may be kept in addition to MAX_KEPT, for frames that are not DATA."""

MIN_KEPT = 64 * 1024
"""Bytes that each stream may keep, even if the memory that all streams share is used up. So no stream stands still."""

ACK_AFTER = 512 * 1024
"""Bytes. After so many have arrived, they are acknowledged at once.

An acknowledgement is one more message through all processes between the two ends. If bytes come fast, most of them are
acknowledged beside a WINDOW.
"""

ACK_INTERVAL = 0.05
"""Seconds. If fewer bytes than ACK_AFTER have arrived, they are acknowledged after this time."""

Source = Callable[[int, int, int], List[Buffer]]
"""A function that returns frames to send, in pieces. It has three arguments, which are limits in bytes:

limit  the most bytes to return
data   DATA frames must lie within the first `data` bytes. If it is not positive, there are none
total  other frames must lie within the first `total` bytes
"""


class Stream:
    """One end of a stream. The stream uses one link (connection) after another, and loses no bytes if a link is lost.

    Call `link_up` when a link begins, after each end has told the other how many bytes it has received. Call
    `link_down` after the link is lost. Pass each binary message of the link to `receive`. Call `next_message` each time
    that the link can take another message, and at the time that `deadline()` returns.

    Args:
        whole: a memory budget that all streams share. Bytes that were sent, but are not acknowledged, count in it. If
            it is used up, this stream sends data only while it keeps less than MIN_KEPT of such bytes.

    Attributes:
        received: the number of bytes that have arrived so far. Tell it to the peer when a new link begins.
        sent: the number of bytes that were given to a link so far.
        acknowledged: the number of bytes that the peer has acknowledged.
        budget: counts the bytes that are kept.
        round_trip: the shortest round trip of the last minutes, from the sending of a record to its acknowledgement.
    """

    def __init__(self, whole: Optional[Budget] = None) -> None:
        self.received = self.sent = self.acknowledged = 0
        self.round_trip = RoundTrip()
        self._kept = ByteQueue()
        self.budget = Budget(MAX_KEPT + MAX_KEPT_CONTROL, whole)
        self._linked = False
        self._fresh = False  # True until a link has brought bytes: the first ones are acknowledged at once
        self._next = 0  # the offset of the next byte to send; below `sent` while lost bytes are sent again
        self._told = 0  # `received` in the last acknowledgement: only later bytes need another one
        self._expected = 0  # the offset of the next part of a message, because only the first part has a header
        self._most_data = 0  # the most bytes of data in a message, which also holds the headers of two records
        self._ack_at: Optional[float] = None
        self._timed: Optional[Tuple[int, float]] = None  # end and time of a sent record: its ACK gives a round trip

    @property
    def kept(self) -> int:
        """The number of bytes that are kept, because the peer has not acknowledged them."""
        return self.sent - self.acknowledged

    def link_up(self, received: int, limit: int = LEAST_LIMIT) -> bool:
        """Begins to use a new link, and returns True. If the stream cannot go on, does nothing and returns False.

        The stream cannot go on if `received` is less than the peer has acknowledged, or more than this end has sent.
        Before the peer sends bytes over the link, it must have been told `self.received`.

        Args:
            received: the number of bytes of the stream that have arrived at the peer.
            limit: the length of the longest message that the peer reads, in bytes.
        """
        if not self.acknowledged <= received <= self.sent:
            return False
        self._acknowledge(received, None)
        self.round_trip.clear()
        self._most_data = min(limit, MAX_MESSAGE) - 2 * RECORD.size
        self._linked = self._fresh = True
        self._next, self._told, self._ack_at, self._timed = received, self.received, None, None
        return True

    def link_down(self) -> None:
        """Notes that the link is lost. Until the next `link_up`, nothing is sent and nothing may be received."""
        self._linked = False
        self._ack_at = self._timed = None

    def receive(self, message: Buffer, now: float, first: bool = True) -> memoryview:
        """Processes a message of the link, or a part of one. Returns those of its bytes that have not arrived before.

        Args:
            first: False if `message` is a part that continues a message.

        Raises:
            StreamError: the message is malformed (`bad-record`), acknowledges bytes that were not sent (`ack-ahead`),
                or does not continue the bytes that have arrived (`gap`).
        """
        if first:
            ack, offset, data = parse_message(message)
            if ack is not None:
                self._acknowledge(ack, now)
        else:
            offset, data = self._expected, memoryview(message)
        if not data:
            return data
        self._expected = offset + len(data)
        if offset > self.received:
            raise StreamError("gap", "data from offset %d after %d bytes" % (offset, self.received))
        data = data[self.received - offset :]
        if data:
            self.received += len(data)
            if self._fresh or self.received - self._told >= ACK_AFTER:
                self._ack_at = now
            elif self._ack_at is None:
                self._ack_at = now + ACK_INTERVAL
            self._fresh = False
        return data or NOTHING

    def next_message(self, source: Source, now: float, most: int = MAX_MESSAGE) -> Optional[List[Buffer]]:
        """Returns the next message for the link, as a list of pieces. None if there is nothing to send.

        Bytes that have to be sent again come first; then come new bytes from the function `source`. The message also
        acknowledges the bytes that have arrived. A message without bytes is returned only if an acknowledgement is due.

        Call this only if the link can send the message now, because its bytes count as sent.

        Args:
            most: the length of the longest message to return, in bytes, if the peer reads such long ones.
        """
        if not self._linked:
            return None
        start, most = self._next, min(most - 2 * RECORD.size, self._most_data)
        if start < self.sent:
            pieces = self._kept.views(start - self.acknowledged, most)
        else:
            free = MAX_KEPT - self.kept
            data = min(free, max(0, self.budget.free, MIN_KEPT - self.kept))
            pieces = source(most, data, free + MAX_KEPT_CONTROL)
        head = RECORD.pack(ACK, self.received) if self.received > self._told else b""
        if pieces:
            head += RECORD.pack(DATA, start)
        elif self._ack_at is None or now < self._ack_at:
            return None
        if pieces:
            self._sent(start, pieces, now)
        self._told, self._ack_at = self.received, None
        return [head, *pieces]

    def waiting(self, now: float) -> bool:
        """Returns True if `next_message` would return a message even without new bytes from `source`."""
        return self._next < self.sent or (self._ack_at is not None and now >= self._ack_at)

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `next_message`, because an acknowledgement is due then.

        None if none is due.
        """
        return self._ack_at

    def _sent(self, start: int, pieces: List[Buffer], now: float) -> None:
        if start < self.sent:
            self._next = start + sum(map(len, pieces))
            return
        size = self._kept.extend(pieces)
        self.budget.use(size)
        self._next = self.sent = start + size
        if self._timed is None:
            self._timed = (self.sent, now)

    def _acknowledge(self, offset: int, now: Optional[float]) -> None:
        if offset > self.sent:
            raise StreamError("ack-ahead", "acknowledged up to %d, sent %d bytes" % (offset, self.sent))
        size = offset - self.acknowledged
        if size <= 0:
            return
        self.acknowledged = offset
        self._kept.drop(size)
        self.budget.use(-size)
        self._next = max(self._next, offset)
        if self._timed is not None and offset >= self._timed[0] and now is not None:
            self.round_trip.add(now - self._timed[1], now)
            self._timed = None

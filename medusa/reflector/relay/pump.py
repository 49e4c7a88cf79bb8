"""One direction of copying between two transports, one step at a time.

A step never waits. The caller decides when to take the next: the reflector's endpoints by event watchers, a test by a
loop.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.messages import Close
from medusa.transports.base import BrokenTransport, ClosedTransport
from medusa.transports.relayed import RelayedTransport


class Progress(enum.Enum):
    """What a step achieved, and so what to wait for."""

    MOVED = "there may be more: step again"
    IDLE = "until the source is readable"
    BLOCKED = "until the sink is writable"
    CLOSED = "the source sent a Close"
    LOST = "the source is gone without a Close"
    BROKE_RULES = "the source broke the protocol and was sent a Close"


class Pump:
    """Copies from `source` to `sink`. Without a sink it drops the data, and reads only to notice the source's end.

    Backpressure: while the sink has something unwritten, nothing is read.

    Attributes:
        messages, size: copied so far, in messages and payload bytes.
        terminal: payload bytes of `size` that are not text: what the user typed, or sees.
        left_out: text messages of the last step that the sink has no place for.
        left_out_count: how many of them so far.
        close: the source's Close, after CLOSED.
        why: what happened, in words, after LOST or BROKE_RULES.
    """

    def __init__(self, source: RelayedTransport, sink: RelayedTransport | None = None) -> None:
        self.source = source
        self.sink = sink
        self.messages = 0
        self.size = 0
        self.terminal = 0
        self.left_out_count = 0
        self.left_out: Sequence[bytes] = ()
        self.close: Close | None = None
        self.why = ""

    def step(self) -> Progress:
        """Copy what one read gives. Call again, or wait, as the result says."""
        sink, self.left_out = self.sink, ()
        try:
            if sink is not None and sink.wants_write and not sink.flush():
                return Progress.BLOCKED
        except BrokenTransport:
            self.sink = sink = None  # the reader of that transport finds its end
        try:
            relayed = self.source.relay_read((sink or self.source).framing)
        except ClosedTransport as error:
            self.close = error.close or Close()
            return Progress.CLOSED
        except BrokenTransport as error:
            self.why = str(error)
            return Progress.LOST
        if relayed is None:
            return Progress.IDLE
        if sink is None:
            self.source.skip_message()  # so that nothing of it is held
        else:
            self.left_out = relayed.left_out
            self.left_out_count += len(relayed.left_out)
        if sink is not None and relayed.pieces:
            self.messages += relayed.messages
            self.size += relayed.size
            self.terminal += relayed.size - relayed.text
            try:
                sink.relay_write(relayed.pieces, self.source.reading_mid_frame, relayed.boundary)
            except (BrokenTransport, ClosedTransport):
                self.sink = sink = None
        return self._outcome(relayed.close, relayed.error, sink)

    def _outcome(
        self, close: Close | None, error: RemoteProtocolError | None, sink: RelayedTransport | None
    ) -> Progress:
        if error is not None:
            self.why = str(error)
            return Progress.BROKE_RULES
        if close is not None:
            self.close = close
            return Progress.CLOSED
        return Progress.BLOCKED if sink is not None and sink.wants_write else Progress.MOVED

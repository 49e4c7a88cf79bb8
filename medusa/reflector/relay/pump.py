"""Copies messages from one transport to another, one step at a time.

A step never waits. The caller decides when to run the next one: the reflector's endpoints by watchers, tests in a loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.messages import Close
from medusa.protocol.raw.relay import PLAIN
from medusa.session.members import Named, direct
from medusa.transports.base import BrokenTransport, ClosedTransport
from medusa.transports.relayed import RelayedTransport


@direct
class Progress(Named):
    """The result of one step of a Pump: what to wait for before the next step, or how the source has ended."""

    MOVED = "there may be more: step again"
    IDLE = "until the source is readable"
    BLOCKED = "until the sink is writable"
    CLOSED = "the source sent a Close"
    LOST = "the source is gone without a Close"
    BROKE_RULES = "the source broke the protocol and was sent a Close"


class Pump:
    """Copies messages from `source` to `sink`. Without a sink, drops them, and reads only to notice the source's end.

    While the sink has unwritten bytes, nothing is read.

    Attributes:
        messages: the number of messages copied so far.
        size: the number of payload bytes copied so far.
        terminal: how many bytes of `size` came in binary messages, which carry terminal input and output.
        listens: True to store text messages in `left_out` while there is no sink. False to drop them.
        left_out: the text messages that the last step did not copy, because the sink's protocol cannot carry text, or
            because there is no sink and `listens` is True.
        left_out_count: the number of text messages that were not copied so far because the sink cannot carry text.
        close: the Close that the source sent. Set when a step returns CLOSED.
        why: the reason why the source has ended, for the log. Set when a step returns LOST or BROKE_RULES.
    """

    __slots__ = (
        "close",
        "left_out",
        "left_out_count",
        "listens",
        "messages",
        "sink",
        "size",
        "source",
        "terminal",
        "why",
    )

    def __init__(self, source: RelayedTransport, sink: RelayedTransport | None = None) -> None:
        self.source = source
        self.sink = sink
        self.messages = 0
        self.size = 0
        self.terminal = 0
        self.listens = False
        self.left_out_count = 0
        self.left_out: Sequence[bytes] = ()
        self.close: Close | None = None
        self.why = ""

    def step(self) -> Progress:
        """Reads once from the source, and copies the data to the sink.

        The result says whether to call this method again now, what to wait for, or how the source has ended.
        """
        sink, self.left_out = self.sink, ()
        try:
            if sink is not None and sink.wants_write and not sink.flush():
                return Progress.BLOCKED
        except BrokenTransport:
            self.sink = sink = None  # the pump that reads from that transport will notice its end
        try:
            listens = sink is None and self.listens
            relayed = self.source.relay_read(PLAIN if listens else (sink or self.source).framing)
        except ClosedTransport as error:
            self.close = error.close or Close()
            return Progress.CLOSED
        except BrokenTransport as error:
            self.why = str(error)
            return Progress.LOST
        if relayed is None:
            return Progress.IDLE
        if listens:
            self.left_out = relayed.left_out
        elif sink is None:
            self.source.skip_message()  # so that no part of a message is held
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

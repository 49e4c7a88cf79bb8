"""One end of a stream, and its channels. No I/O.

The caller passes the messages that have arrived, and the time in monotonic seconds. It gets the messages to send, and
events that tell what has happened in the channels.
"""

from __future__ import annotations

from typing import List, Optional

from medusa.protocol.channels.channel import NO_REASON, Event
from medusa.protocol.channels.frames import Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.multiplexer import Channels
from medusa.protocol.errors import StreamError
from medusa.protocol.resume.budget import Budget
from medusa.protocol.resume.byte_queue import Buffer
from medusa.protocol.resume.records import LEAST_LIMIT, MAX_MESSAGE
from medusa.protocol.resume.stream import Stream


class StreamEnd:
    """One end of a stream, and the channels on it.

    For each binary message of the link, call `receive`, and act on the events. While the link takes messages, send what
    `next_message` returns. Call `expire` at the time that `deadline()` returns.

    Args:
        role: the role of this end.
        kept: a budget that several streams share, for bytes that were sent and are not acknowledged. None: only this
            stream's own limit counts.
        windows: a budget that several streams share, for bytes that peers may send. None: only this stream's own limit
            counts.

    Attributes:
        channels: the channels of this stream. Call its method `open` for a new one.
    """

    def __init__(self, role: Role, kept: Optional[Budget] = None, windows: Optional[Budget] = None) -> None:
        self._stream = Stream(kept)
        self.channels = Channels(role, self._stream.round_trip.get, windows)

    @property
    def received(self) -> int:
        """The number of bytes of the stream that have arrived. Tell it to the peer when a link begins."""
        return self._stream.received

    @property
    def acknowledged(self) -> int:
        """The number of bytes that have arrived at the peer, as far as this end knows."""
        return self._stream.acknowledged

    @property
    def kept(self) -> int:
        """The number of bytes that were sent, and that the peer has not acknowledged."""
        return self._stream.kept

    @property
    def round_trip(self) -> float:
        """The shortest round trip (from here to the peer and back) of the last minutes, in seconds.

        0.0 if it is not known yet.
        """
        return self._stream.round_trip.get()

    @property
    def complete(self) -> bool:
        """True if this end has closed all channels, and the peer has acknowledged all bytes that were sent."""
        return self.channels.closed and not self._stream.kept

    @property
    def over(self) -> bool:
        """True if one of the two ends has ended the stream, and `next_message` has returned the last message."""
        return self.channels.finished

    def link_up(self, received: int, limit: int = LEAST_LIMIT) -> bool:
        """Begins to use a new link, and returns True. If the stream cannot go on, does nothing and returns False.

        The stream cannot go on if `received` is less than the peer has acknowledged, or more than this end has sent.

        Args:
            received: the number of bytes of the stream that have arrived at the peer.
            limit: the length of the longest message that the peer reads, in bytes.
        """
        return self._stream.link_up(received, limit)

    def link_down(self) -> None:
        """Notes that the link is lost.

        Until the next `link_up`, there is no message to send, and none may be received.
        """
        self._stream.link_down()

    def receive(self, message: Buffer, now: float, first: bool = True) -> List[Event]:
        """Processes a binary message of the link, or a part of one. Returns events that tell what has arrived.

        If the peer broke a rule of the stream, the last event is a GOAWAY, and `next_message` returns one for the peer.

        Args:
            first: False if `message` is a part that continues a message.
        """
        try:
            data = self._stream.receive(message, now, first)
        except StreamError as error:
            return [] if self.channels.over else [self.channels.fail(error)]
        return self.channels.receive(data, now)

    def next_message(self, now: float, most: int = MAX_MESSAGE) -> Optional[List[Buffer]]:
        """Returns the next message for the link, as a list of pieces. None if there is nothing to send.

        Call it only if the link can send the message now, because the bytes of the message count as sent.

        Args:
            most: the length of the longest message to return, in bytes, such as `Link.message_size`.
        """
        if not self.channels.waiting and not self._stream.waiting(now):
            return None
        return self._stream.next_message(self.channels.take, now, most)

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `expire` and then `next_message`. None if there is nothing to wait for."""
        first, second = self._stream.deadline(), self.channels.deadline()
        return first if second is None else second if first is None else min(first, second)

    def expire(self, now: float) -> List[Event]:
        """Refuses the channels of the peer that this end has not answered in time.

        If too many such answers wait to be sent, because the peer does not take them, ends the stream and returns a
        GOAWAY event. Otherwise returns no event.
        """
        try:
            self.channels.expire(now)
            return []
        except StreamError as error:
            return [self.channels.fail(error)]

    def leave(self) -> None:
        """Gives this stream's memory back to the budgets that several streams share.

        Call it when the stream is not used any more.
        """
        self._stream.budget.leave()
        self.channels.leave()

    def go_away(self, reason: Reason = NO_REASON) -> None:
        """Ends the stream with `reason`, after all frames that wait were sent.

        After this call, no channel can be opened.
        """
        self.channels.go_away(reason)

    def fail(self, error: StreamError) -> Event:
        """Ends the stream at once, because the peer broke a rule. Returns a GOAWAY event with the reason.

        Call it if a method of a channel has raised `error`.
        """
        return self.channels.fail(error)

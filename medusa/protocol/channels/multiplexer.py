"""Processes the frames that arrive at one end of a stream, for all its channels.

Does no I/O; the caller passes the time, in seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import NO_REASON, Channel, Event, State
from medusa.protocol.channels.frames import Reason, parse_json, parse_reason
from medusa.protocol.channels.kinds import Role, parse_request, parse_result
from medusa.protocol.channels.parser import FrameParser
from medusa.protocol.channels.sending.outbox import Outbox
from medusa.protocol.channels.subs import Reader, find_sub
from medusa.protocol.channels.table import ChannelTable
from medusa.protocol.channels.windows import Windows
from medusa.protocol.errors import StreamError
from medusa.protocol.resume.budget import Budget


class Channels(FrameParser):
    """All channels of one end of a stream.

    Pass the bytes of the stream to `receive`, and act on the events that it returns. Pass the method `take`, which
    returns frames to send, to `Stream.next_message`. Call `expire` at the time that `deadline()` returns. Call `leave`
    at the end of the stream, to give the memory back to the budget `whole`.

    If the peer breaks a rule of the stream, the stream ends: the last event is a GOAWAY, as if the peer had sent it,
    and `take` returns a GOAWAY for the peer. If the broken rule concerns one channel only, this channel ends with a
    CLOSE event.

    Args:
        role: the role of this end.
        round_trip: a function that returns the seconds of a round trip, such as `Stream.round_trip.get`.
        whole: a memory budget that several streams share; None if there is none. The windows of this stream count in
            it.

    Attributes:
        over: True after a GOAWAY event. Nothing is received any more.
    """

    def __init__(self, role: Role, round_trip: Callable[[], float] = float, whole: Optional[Budget] = None) -> None:
        super().__init__()
        self._windows = Windows(round_trip, whole)
        self._outbox = Outbox(self._windows)
        self._table = ChannelTable(role, self._outbox, self._windows)
        self._now = 0.0
        self._reader: Optional[Reader] = None  # gets the data that arrive; None to drop them
        self._place: Tuple[Optional[Channel], int] = (None, 0)  # channel and sub of these data
        self._touched: List[Reader] = []
        self._events: List[Event] = []
        self.take, self.leave = self._outbox.take, self._windows.budget.leave
        self.deadline, self.expire = self._table.deadline, self._table.expire

    @property
    def count(self) -> int:
        """The number of channels that were opened and are not over.

        A channel that this end has refused as soon as it was offered does not count.
        """
        return self._table.count

    @property
    def closed(self) -> bool:
        """True if this end has closed all channels, and nothing waits to be sent in them."""
        channels = (channel for channel in self._table.channels.values() if channel is not None)
        return all(channel.state is State.CLOSED and not channel.waiting for channel in channels)

    @property
    def waiting(self) -> bool:
        """True if `take` has something to do. False if a call of it would return nothing and change nothing."""
        return self._outbox.waiting

    @property
    def finished(self) -> bool:
        """True if the stream has ended: a GOAWAY was sent, or has arrived."""
        return self._outbox.over

    def open(self, kind: str, /, **parameters: object) -> Channel:
        """Opens a channel of the given kind, and returns it. Keyword arguments are the parameters of the kind.

        The peer's answer comes later, as an event: OPENED or REFUSED.

        Raises:
            ValueError: the parameters are wrong, or too long for a frame.
            TooManyChannels: MAX_CHANNELS are open, no memory is left for one more, or the stream is over.
        """
        return self._table.open(kind, parameters)

    def fits(self, kind: str) -> bool:
        """Returns True if `open` would open one more channel of this kind, whose subs no parameter changes."""
        return self._table.fits(kind)

    def receive(self, data: Union[bytes, memoryview], now: float) -> List[Event]:
        """Processes `data`, the next bytes of the stream. Returns the events that tell what has arrived.

        `data` may begin and end within frames. The bytes of a DATA event are in the channel's `readers`.
        """
        for reader in self._touched:
            reader.settle()
        self._touched.clear()
        events = self._events = []
        if self.over:
            return events
        try:
            self._now = now
            self.parse(memoryview(data))
        except StreamError as error:
            events.append(self.fail(error))
        return events

    def fail(self, error: StreamError) -> Event:
        """Ends the stream at once, because the peer broke a rule.

        Returns a GOAWAY event with the reason for the caller.

        `take` then returns a GOAWAY frame, which tells the peer.
        """
        reason = Reason(error.code, str(error))
        self._outbox.finish(reason, at_once=True)
        return self._end(reason)

    def go_away(self, reason: Reason = NO_REASON) -> None:
        """Ends the stream: a GOAWAY with `reason` is sent after all frames that wait.

        After this call, no channel can be opened.
        """
        self._outbox.finish(reason, at_once=False)

    def begin_data(self, sub: int, length: int, number: int) -> None:
        """Checks the header of a DATA frame. Its payload of `length` bytes is passed to `feed` next.

        Args:
            sub: the number of the direction in which the bytes go.
            number: the number of the channel.

        Raises:
            StreamError: the peer may not send these bytes now.
        """
        reader, (channel, last) = self._reader, self._place  # of the last frame: most frames have the same
        same = channel is not None and channel.number == number and last == sub and channel.state is State.OPEN
        if reader is None or not same:
            channel = self._table.find(frames.DATA, number)
            self._reader = None
            if channel is None:
                return
            reader = find_sub(channel.readers, sub, channel)
        if reader.over:
            raise StreamError("bad-order", "data after the end of sub %d of channel %d" % (sub, number))
        if reader.received + length > reader.limit:
            raise StreamError("window-overrun", "sub %d of channel %d exceeds its window" % (sub, number))
        self._reader, self._place = reader, (channel, sub)

    def feed(self, piece: memoryview) -> None:
        """Takes the next bytes of a DATA frame's payload.

        `begin_data` was called before for the header of this frame.
        """
        reader = self._reader
        if reader is not None and reader.feed(piece):
            self._touched.append(reader)
            self._events.append(Event(frames.DATA, *self._place))

    def process(self, kind: int, sub: int, number: int, payload: bytes) -> None:
        """Processes a whole frame that is not DATA. `kind` is its type, and `number` its channel."""
        if kind == frames.OPEN:
            offered = self._table.offer(number, payload, self._now)
            if offered is not None:
                self._events.append(offered)
        elif kind == frames.GOAWAY:
            self._outbox.end()
            self._events.append(self._end(parse_reason(payload)))
        else:
            channel = self._table.find(kind, number)
            if channel is None:
                return
            if kind in _BY_SUB:
                _BY_SUB[kind](self, channel, sub, payload)
            elif kind in (frames.CLOSE, frames.REFUSED):
                self._closed(kind, channel, parse_reason(payload))
            else:
                self._fields(kind, channel, payload)

    def _eof(self, channel: Channel, sub: int, payload: bytes) -> None:
        reader: Reader = find_sub(channel.readers, sub, channel)
        if reader.over:
            raise StreamError("bad-order", "a second end of sub %d of channel %d" % (sub, channel.number))
        wrong = reader.end(*frames.END.unpack(payload))
        self._events.append(Event(frames.EOF, channel, sub, wrong))
        if wrong:
            self._break(channel, wrong, "sub %d of channel %d did not arrive as it was sent" % (sub, channel.number))

    def _stop(self, channel: Channel, sub: int, payload: bytes) -> None:
        find_sub(channel.writers, sub, channel)
        if channel.stop(sub):
            self._events.append(Event(frames.STOP, channel, sub))

    def _window(self, channel: Channel, sub: int, payload: bytes) -> None:
        writer = find_sub(channel.writers, sub, channel)
        (limit,) = frames.LIMIT.unpack(payload)
        if limit < writer.limit:
            raise StreamError("window-back", "the window of sub %d of channel %d goes back" % (sub, channel.number))
        writer.limit = limit

    def _fields(self, kind: int, channel: Channel, payload: bytes) -> None:
        try:
            given = parse_json(payload)
        except ValueError as error:
            self._break(channel, "bad-json", str(error))
            return
        fields: Optional[Dict[str, Any]] = given
        try:
            if kind == frames.RESULT:
                fields = parse_result(given)
                channel.has_result = True
            elif kind == frames.REQUEST:
                fields = parse_request(given)
        except ValueError as error:
            self._break(channel, "bad-request", str(error))
            return
        if kind == frames.OPENED:
            channel.agrees(given.get("check"))
            channel.state = State.OPEN
        if fields is not None:
            self._events.append(Event(kind, channel, 0, fields))

    def _closed(self, kind: int, channel: Channel, reason: Reason) -> None:
        refused = kind == frames.REFUSED and channel.state is State.OPENING
        self._table.remove(channel)
        channel.closed()
        if not channel.broken:
            self._events.append(Event(frames.REFUSED if refused else frames.CLOSE, channel, 0, reason))

    def _break(self, channel: Channel, code: str, words: str) -> None:
        """Closes one channel, because the peer broke a rule in it. Other channels are not affected."""
        reason = Reason(code, words)
        channel.close(reason, at_once=True)
        channel.broken = True
        self._events.append(Event(frames.CLOSE, channel, 0, reason))

    def _end(self, reason: Reason) -> Event:
        self.over = True
        self._table.clear()
        self._partial.clear()
        return Event(frames.GOAWAY, None, 0, reason)


_BY_SUB: Dict[int, Callable[[Channels, Channel, int, bytes], None]] = {
    frames.EOF: Channels._eof,
    frames.STOP: Channels._stop,
    frames.WINDOW: Channels._window,
}

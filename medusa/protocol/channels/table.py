"""The channels of one end of a stream: gives them their numbers, finds them, and refuses what may not be opened."""

from __future__ import annotations

from typing import Any, Dict, Optional

from medusa.protocol.channels.channel import Channel, Event, State, TooManyChannels
from medusa.protocol.channels.frames import CLOSE, OPEN, REFUSED, Reason, build_json, build_reason, parse_json
from medusa.protocol.channels.kinds import CRC32, KINDS, Role, has_short_check, parse, subs
from medusa.protocol.channels.limits import MAX_CHANNELS, MAX_REFUSED, MIN_WINDOW, OPEN_TIMEOUT
from medusa.protocol.channels.sending.outbox import Outbox
from medusa.protocol.channels.windows import Windows
from medusa.protocol.errors import StreamError

LAST_NUMBER = (1 << 32) - 1
_FULL = "no more than %d channels, or no memory for one more" % MAX_CHANNELS


class ChannelTable:
    """The channels of one end of a stream, by their numbers.

    Args:
        role: the role of this end.

    Attributes:
        channels: number -> the channel. None if this end has refused it, but the peer may still send frames in it.
    """

    def __init__(self, role: Role, outbox: Outbox, windows: Windows) -> None:
        self.channels: Dict[int, Optional[Channel]] = {}
        self._role, self._outbox, self._windows = role, outbox, windows
        self._next = int(role)  # the number of this end's next channel: no number is used twice
        self._last = 0  # the number of the peer's last channel: the next one must be larger
        self._refused = 0
        self._offered: Dict[int, float] = {}  # when each channel came: it is refused if no answer comes in time

    @property
    def count(self) -> int:
        """The number of channels that were opened and are not over.

        A channel that this end has refused as soon as it was offered does not count.
        """
        return len(self.channels) - self._refused

    def open(self, kind: str, parameters: Dict[str, Any]) -> Channel:
        """Opens a channel of the given kind, and returns it.

        Raises:
            ValueError: the parameters are wrong, or too long for a frame.
            TooManyChannels: MAX_CHANNELS are open, no memory is left for one more, or the stream is over.
        """
        known = parse(parameters, KINDS[kind].fields)
        if has_short_check(kind, known):
            parameters, known["check"] = {**parameters, "check": CRC32}, CRC32
        frame = build_json(OPEN, self._next, {"kind": kind, **parameters})
        if not self._free or not self._has_room(len(subs(kind, known)[1])):
            raise TooManyChannels(_FULL)
        self._outbox.control(frame)
        self._next += 2
        return self._add(self._next - 2, kind, known, opener=True)

    def fits(self, kind: str) -> bool:
        """Returns True if `open` would open one more channel of this kind, whose subs no parameter changes."""
        return self._free and self._has_room(len(KINDS[kind].subs[1]))

    def offer(self, number: int, payload: bytes, now: float) -> Optional[Event]:
        """Adds the channel that the peer opens by the frame OPEN with `payload`. Returns the event for the caller.

        Returns None if the channel was refused.

        Raises:
            StreamError: the peer may not use this number, or too many of its channels were refused.
        """
        if number % 2 == self._next % 2 or number <= self._last:
            raise StreamError("bad-id", "channel %d was opened after channel %d" % (number, self._last))
        self._last = number
        try:
            given = parse_json(payload)
            kind = given.get("kind")
            if not isinstance(kind, str) or kind not in KINDS or KINDS[kind].opener is self._role:
                self._refuse(number, "unknown-kind", "channels of this kind cannot be opened here")
                return None
            parameters = parse(given, KINDS[kind].fields)
        except ValueError as error:
            self._refuse(number, "bad-open", str(error))
            return None
        if not self._has_room(len(subs(kind, parameters)[0])):
            self._refuse(number, "limit", _FULL)
            return None
        channel = self._add(number, kind, parameters, opener=False)
        self._offered[number] = now
        return Event(OPEN, channel, 0, parameters)

    def find(self, kind: int, number: int) -> Optional[Channel]:
        """Returns the channel with this number, for a frame of type `kind`.

        Returns None if the frame has to be dropped.

        Raises:
            StreamError: the peer may not send this frame now.
        """
        try:
            channel = self.channels[number]
        except KeyError:
            opened = number < self._next if number % 2 == self._next % 2 else number <= self._last
            code = "closed-channel" if opened else "unknown-channel"
            raise StreamError(code, "a frame of type %d for channel %d" % (kind, number)) from None
        if channel is None:
            if kind == CLOSE:
                del self.channels[number]
                self._refused -= 1
            return None
        if channel.state is State.CLOSED:
            return channel if kind in (CLOSE, REFUSED) else None
        if not channel.allows(kind):
            raise StreamError("bad-order", "a frame of type %d for channel %d at this time" % (kind, number))
        return channel

    def remove(self, channel: Channel) -> None:
        """Removes a channel that the peer has closed or refused."""
        del self.channels[channel.number]
        self._offered.pop(channel.number, None)
        self._windows.channels(-1)

    def clear(self) -> None:
        """Ends and removes all channels, because the stream is over."""
        for channel in self.channels.values():
            if channel is not None:
                channel.lost()
        self.channels.clear()
        self._offered.clear()

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `expire`.

        None if this end has answered all channels that the peer has opened.
        """
        while self._offered:
            number = next(iter(self._offered))
            channel = self.channels.get(number)
            if channel is not None and channel.state is State.OFFERED:
                return self._offered[number] + OPEN_TIMEOUT
            del self._offered[number]
        return None

    def expire(self, now: float) -> None:
        """Refuses each channel of the peer that this end has not answered within OPEN_TIMEOUT seconds."""
        at = self.deadline()
        while at is not None and at <= now:
            channel = self.channels[next(iter(self._offered))]
            assert channel is not None
            channel.refuse("timeout", "the channel was not opened within %d s" % OPEN_TIMEOUT)
            at = self.deadline()

    def _refuse(self, number: int, code: str, words: str) -> None:
        if self._refused >= MAX_REFUSED:
            raise StreamError("too-many-opens", "%d channels were refused and not closed" % self._refused)
        self.channels[number] = None
        self._refused += 1
        self._outbox.control(build_reason(REFUSED, number, Reason(code, words)))

    @property
    def _free(self) -> bool:
        return not self._outbox.finishing and self._next <= LAST_NUMBER

    def _has_room(self, readers: int) -> bool:
        return self.count < MAX_CHANNELS and self._windows.budget.free >= MIN_WINDOW * readers

    def _add(self, number: int, kind: str, parameters: Dict[str, Any], *, opener: bool) -> Channel:
        channel = Channel(number, kind, parameters, opener, self._outbox, self._windows)
        self.channels[number] = channel
        self._windows.channels(+1)
        return channel

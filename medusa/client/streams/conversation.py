"""The client's end of a stream: passes messages both ways.

A stream outlives its link: it can go on over another link.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from medusa.client.streams.arrived import NOTHING, Arrived
from medusa.client.streams.companion import Companion
from medusa.client.streams.lost_link.returning import Returning, Unsaid
from medusa.client.streams.negotiation import Negotiation, Speech
from medusa.protocol import control
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import GOAWAY, Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control, Start, StreamAnswer
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary, Close, Message, Part, Text
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import Link, LinkLost, closed

DONE = Reason("done")
"""The reason of the client's GOAWAY if it needs the agent no more."""


class Conversation:
    """The client's end of a conversation with an agent that has attached (Linkup has arrived on the link).

    Call `begin` once. Then repeat these steps:

    1. Poll for `wanted`, until `deadline` at most. Do not wait if `unread` is True.
    2. Call `step` with the events.
    3. Call `receive` until it returns None, or iterate over `arrivals`. Act on what has arrived.
    4. Call `send`. Call `keep_alive` if `deadline` has come, and a little after each event (see Pace).

    If one of these raises LinkLost, call `lost`: the stream may go on over another link. Only `close` blocks.

    Args:
        link: the link. The caller has to close it. It gets new connections after it was lost.
        clock: a function that returns monotonic seconds.
        returning: brings the stream back after its link is lost; None if the stream ends with its link.
        companion: what uses channels beside the session; None if there is nothing. The session does not see the events
            of these channels.

    Attributes:
        link: the argument `link`.
        stream: this end of the stream. Open channels at `stream.channels` as soon as `speech` is Speech.STREAM.
    """

    def __init__(
        self,
        link: Link,
        clock: Callable[[], float] = time.monotonic,
        returning: Returning | None = None,
        companion: Companion | None = None,
    ) -> None:
        self.link = link
        self.stream = StreamEnd(Role.CLIENT)
        self._clock, self._returning, self._companion = clock, returning, companion
        self._negotiation = Negotiation(link, self.stream, lambda: 0 if returning is None else returning.keep)
        self._late: list[Event] = []
        self._heard: list[Control] = []

    def begin(self, start: Start, *, stays: bool = False) -> None:
        """Sends the message `start`, with the offer of the stream in it.

        An agent that knows no streams ignores the offer, and starts the command that the message asks for.

        Args:
            stays: True if this end comes back after the loss of its link even if all its commands have ended.

        Raises:
            LinkLost: the link has ended.
        """
        self._negotiation.start, self._negotiation.stays = start, stays
        self._negotiation.offer()

    def open(self, kind: str, /, **parameters: object) -> Channel:
        """Opens a channel of this kind, with these parameters, and returns it.

        Raises:
            ValueError, TooManyChannels: the channel cannot be opened; `Channels.open` says when.
        """
        return self.stream.channels.open(kind, **parameters)

    @property
    def speech(self) -> Speech:
        """What the agent has answered."""
        return self._negotiation.speech

    # ------------------------------------------------------------------ the state of the link

    @property
    def parted(self) -> bool:
        """True while there is no link over which the stream can go on. Then nothing is sent, and nothing arrives."""
        return self._returning is not None and self._returning.active

    @property
    def lasting(self) -> bool:
        """True if the stream goes on over another link after its link is lost."""
        return self._returning is not None and self._returning.lasting

    @property
    def clear(self) -> bool:
        """True if the link takes more bytes now."""
        return not self.parted and self.link.clear

    @property
    def unread(self) -> bool:
        """True if messages may be waiting that a poll would not report."""
        return bool(self._heard or self._late) or (not self.parted and self.link.unread)

    @property
    def waits(self) -> bool:
        """True if bytes were sent that the agent has not acknowledged."""
        return self.stream.kept > 0

    def lost(self, lost: LinkLost) -> None:
        """Begins to make a new link. Call it after a method has raised `lost`.

        Raises:
            LinkLost: there can be no new link. The exception is `lost`.
        """
        if self._returning is None:
            raise lost
        self._returning.lost(self.link, lost, self.stream, self._negotiation.offer, self._heard.append)

    # ------------------------------------------------------------------ in each round

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        if self._returning is not None and self._returning.active:
            wanted = self._returning.wanted()
        else:
            wanted = {self.link.fileno(): self.link.events(reading=True)}
        return wanted if self._companion is None else {**self._companion.wanted(), **wanted}

    def deadline(self) -> float:
        """Returns the time, by `clock`, at which `step`, `keep_alive` and `send` must be called next."""
        at, returning = self.send_at(), self._returning
        if returning is None:
            return min(at, self.link.deadline())
        return at if returning.active else min(at, self.link.deadline(), returning.due(self.stream, self.link))

    def send_at(self) -> float:
        """Returns the part of `deadline` that cannot wait: the time at which `step` and `send` must be called next."""
        back = self._returning if self._returning is not None and self._returning.active else None
        at = self.stream.deadline() if back is None else back.deadline()
        others = math.inf if self._companion is None else self._companion.deadline()
        return others if at is None else min(others, at)

    def step(self, events: Mapping[int, int]) -> None:
        """Acts on `events`: what poll has reported, by descriptor. Goes on with making a new link, if the link is lost.

        Raises:
            LinkLost: the stream cannot go on, or the link has ended.
        """
        if self._returning is not None and self._returning.active:
            self._go_on_returning(self._returning, events)
        if self._companion is not None:
            try:
                self._companion.act(events)
            except StreamError as error:
                self._late.append(self.fail(error))

    def _go_on_returning(self, returning: Returning, events: Mapping[int, int]) -> None:
        if (answer := returning.step(events)) is None:
            return
        if self._negotiation.speech is Speech.NONE:
            self._heard.append(answer)
        elif not self._negotiation.resume(answer):
            self._late.append(Event(GOAWAY, None, 0, Reason("bad-answer", "the agent has lost a part of the stream")))

    def receive(self) -> Arrived | None:
        """Processes the next message of the link. Returns what it has brought, or None if no message has arrived.

        Raises:
            LinkLost: the link has ended, perhaps by a Close.
        """
        if self._late:
            late, self._late = self._late, []
            return Arrived(late)
        if self._heard:
            return self._control(self._heard.pop(0))
        if self.parted or (message := self.link.receive()) is None:
            return None
        return self._take(message)

    def keep_alive(self) -> None:
        """Pings a silent reflector, and tells the user of a silent agent. Raises LinkLost if the link has ended."""
        if self.parted:
            return
        self.link.keep_alive()
        if self._returning is not None:
            self._returning.check(self._clock(), self.stream, self.link)

    def send(self) -> None:
        """Sends what waits in the stream, as much as the link accepts now. Raises LinkLost if the link has ended."""
        if self._returning is not None and self._returning.active:
            return
        now, link, stream = self._clock(), self.link, self.stream
        due = stream.channels.deadline()
        if due is not None and due <= now:
            self._late += stream.expire(now)
        link.flush()
        while link.clear and (message := stream.next_message(now, link.message_size)) is not None:
            link.send_data(*message)

    # ------------------------------------------------------------------ the end

    def finish(self, reason: Reason = DONE) -> None:
        """Ends the stream: sends the message GOAWAY if the link accepts it now. After that, close the link."""
        if self._negotiation.speech is Speech.STREAM:
            self.stream.go_away(reason)
            try:
                self.send()
            except LinkLost:
                pass  # the agent learns the same by the end of the link

    def close(self, close: str, reason: Reason, timeout: float) -> bool:
        """Ends the stream and the link. Waits up to `timeout` seconds for the reflector's Close message.

        Returns True if that message came.

        Args:
            close: the reason in the Close message that this side sends.
            reason: the reason in GOAWAY, the message that ends the stream.
        """
        if self.parted:
            answered = False
        else:
            self.finish(reason)
            answered = self.link.close(close, timeout)
        if not answered and self._returning is not None:
            self._returning.leave(Unsaid(self._negotiation.last_offer()))
        return answered

    def part(self) -> None:
        """Leaves the stream as it is. Notes the messages that the agent may not have received: see Returning.unsaid.

        After that, abort the link, and call nothing else.
        """
        messages: list[bytes] = []
        self.stream.link_up(self.stream.acknowledged)
        while message := self.stream.next_message(self._clock()):
            messages.append(b"".join(message))
        if self._returning is not None:
            self._returning.leave(Unsaid(self._negotiation.last_offer(), messages))

    def fail(self, error: StreamError) -> Event:
        """Ends the stream, because a method of a channel has raised `error`. Returns the event GOAWAY."""
        return self.stream.fail(error)

    # ------------------------------------------------------------------ what arrives

    def _take(self, message: Message) -> Arrived:
        if isinstance(message, Part):
            return self._arrived(self.stream.receive(message.data, self._clock(), message.first))
        if isinstance(message, Binary):
            if self._negotiation.speech is Speech.STREAM:
                return self._arrived(self.stream.receive(message.data, self._clock()))
            return Arrived(output=message.data)
        if isinstance(message, Close):
            raise closed(message)
        found = control.parse(message.text) if isinstance(message, Text) else None
        return NOTHING if found is None else self._control(found)

    def _arrived(self, events: list[Event]) -> Arrived:
        """Passes the events of the companion's channels to the companion. Returns the others."""
        companion = self._companion
        if companion is None:
            return Arrived(events)
        try:
            return Arrived([event for event in events if event.channel is None or not companion.happened(event)])
        except StreamError as error:
            return Arrived([self.fail(error)])

    def no_stream(self) -> None:
        """Notes that the agent knows no streams."""
        if self._companion is not None:
            self._companion.unavailable()
            self._companion = None

    def _control(self, found: Control) -> Arrived:
        if self._returning is not None and self._returning.take(found):
            return NOTHING
        before = self.speech
        arrived = self._negotiation.hear(found)
        if self.speech is Speech.TERMINAL:
            self.no_stream()
        elif self.speech is not before and isinstance(arrived.control, StreamAnswer):
            if self._returning is not None:
                self._returning.begins(arrived.control)
            if self._companion is not None:
                self._companion.start(self)
        return arrived

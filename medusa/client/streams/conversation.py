"""Joins a link and a stream: offers the stream in `start`, takes the agent's answer, and passes messages both ways."""

from __future__ import annotations

import dataclasses
import enum
import secrets
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from medusa.protocol import control
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import GOAWAY, Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control, Error, Exit, Notice, Start, Started, StreamAnswer
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary, Close, Message, Part, Text
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.resume.records import MAX_MESSAGE, PARTS_ABOVE
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import Link, LinkLost, Loss

DONE = Reason("done")
"""The reason of the client's GOAWAY if it needs the agent no more."""


class Speech(enum.Enum):
    """What the agent has answered to `start`."""

    NONE = "nothing yet"
    STREAM = "it has accepted the stream; each binary message is a message of the stream"
    TERMINAL = "it is an agent of part 2, which has started the command of `start`, or could not start it"


class Arrived(NamedTuple):
    """What one message has brought. All fields are empty for a message that means nothing at this time.

    Attributes:
        events: what has happened in the stream. Take the bytes that the channels' readers hold before the next message
            is received. If not, these bytes are copied, which takes time.
        control: a control message. The agent sends StreamAnswer once, if it accepts the stream; after that, only Notice
            comes, which the reflector sends. All other messages come from an agent without streams.
        output: output of the terminal, from an agent that has not accepted the stream.
    """

    events: Sequence[Event] = ()
    control: Control | None = None
    output: bytes = b""


NOTHING = Arrived()


class Conversation:
    """The client's end of a conversation with an agent over a link on which Linkup was received.

    Call `begin` once. Then, in each round of the caller's loop: poll the link until `deadline` at most, but do not wait
    if `link.unread` is True. Then call `receive` a few times, or until it returns None, and act on what has arrived.
    Then call `send`. No method blocks.

    Args:
        link: the link. The caller has to keep it alive, and to close it.
        clock: a function that returns monotonic seconds.

    Attributes:
        link: see above.
        stream: this end of the stream. Open channels at `stream.channels` as soon as `speech` is Speech.STREAM.
        speech: what the agent has answered.
        answer: the agent's answer, if it has accepted the stream.
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self.link = link
        self.stream = StreamEnd(Role.CLIENT)
        self.speech = Speech.NONE
        self.answer: StreamAnswer | None = None
        self._clock = clock
        self._id = secrets.token_hex(16)
        self._late: list[Event] = []

    def begin(self, start: Start) -> None:
        """Sends `start` with the offer of the stream. An agent of part 2 does what `start` says.

        Raises:
            LinkLost: the link has ended.
        """
        self.link.send_control(dataclasses.replace(start, stream=StreamOffer(self._id)))

    def open(self, kind: str, /, **parameters: object) -> Channel:
        """Opens a channel. Raises ValueError and TooManyChannels, see `Channels.open`."""
        return self.stream.channels.open(kind, **parameters)

    def receive(self) -> Arrived | None:
        """Processes the next message of the link. Returns what it has brought, or None if no message has arrived.

        Raises:
            LinkLost: the link has ended, perhaps by a Close.
        """
        if self._late:
            late, self._late = self._late, []
            return Arrived(late)
        message = self.link.receive()
        return None if message is None else self._take(message)

    def send(self) -> None:
        """Sends what waits in the stream, as much as the link accepts now. Raises LinkLost if the link has ended."""
        now = self._clock()
        due = self.stream.deadline()
        if due is not None and due <= now:
            self._late += self.stream.expire(now)
        link, stream = self.link, self.stream
        link.flush()
        while link.clear:
            message = stream.next_message(now)
            if message is None:
                break
            link.send_data(*message)

    def deadline(self) -> float:
        """Returns the time, by `clock`, at which `send` or the link's `keep_alive` must be called next."""
        due, alive = self.stream.deadline(), self.link.deadline()
        return alive if due is None else min(due, alive)

    def finish(self, reason: Reason = DONE) -> None:
        """Ends the stream: sends GOAWAY if the link accepts it now. After that, close the link."""
        if self.speech is Speech.STREAM:
            self.stream.go_away(reason)
            try:
                self.send()
            except LinkLost:
                pass  # the agent learns the same by the end of the link

    def fail(self, error: StreamError) -> Event:
        """Ends the stream, because a method of a channel has raised `error`. Returns the event GOAWAY."""
        return self.stream.fail(error)

    def _take(self, message: Message) -> Arrived:
        if isinstance(message, Part):
            return Arrived(self.stream.receive(message.data, self._clock(), message.first))
        if isinstance(message, Binary):
            if self.speech is Speech.STREAM:
                return Arrived(self.stream.receive(message.data, self._clock()))
            return Arrived(output=message.data)
        if isinstance(message, Close):
            raise LinkLost(Loss.CLOSED, message.reason)
        found = control.parse(message.text) if isinstance(message, Text) else None
        return NOTHING if found is None else self._control(found)

    def _control(self, found: Control) -> Arrived:
        if self.speech is Speech.STREAM:
            return Arrived(control=found) if isinstance(found, Notice) else NOTHING
        if isinstance(found, StreamAnswer):
            return self._accepted(found) if self.speech is Speech.NONE else NOTHING
        if isinstance(found, (Started, Error, Exit)):
            self.speech = Speech.TERMINAL
        return Arrived(control=found)

    def _accepted(self, answer: StreamAnswer) -> Arrived:
        if answer.id != self._id:
            return NOTHING
        self.speech, self.answer = Speech.STREAM, answer
        self.link.limit_messages(MAX_MESSAGE, PARTS_ABOVE)
        if answer.gone or not self.stream.link_up(answer.received):
            words = "the agent has answered the offer of a new stream as if it were another one"
            return Arrived([Event(GOAWAY, None, 0, Reason("bad-answer", words))])
        return Arrived(control=answer)

"""Offers a stream to the agent, in the message `start`, and notes what the agent has answered."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable

from medusa.client.streams.arrived import NOTHING, Arrived
from medusa.protocol.channels.channel import Event
from medusa.protocol.channels.frames import GOAWAY, Reason
from medusa.protocol.control import Control, Error, Exit, Notice, Start, Started, StreamAnswer
from medusa.protocol.record import replace
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.resume.records import MAX_MESSAGE, PARTS_ABOVE
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import Link

HARMLESS = Start(command="/bin/sh", arguments=("-c", ":"))
"""The command in an offer for agents with streams only. An agent without streams starts it, and it does nothing."""


class Speech(enum.Enum):
    """Says what the agent has answered to the message `start`."""

    NONE = "nothing yet"
    STREAM = "it has accepted the stream; each binary message is a message of the stream"
    TERMINAL = "it is an agent of part 2, which has started the command of `start`, or could not start it"


class Negotiation:
    """Offers one stream to the agent, over each of its links.

    Args:
        link: the link. It gets new connections after it was lost.
        stream: this end of the stream.
        keep: returns for how many seconds the agent is to keep the stream after its link is lost.

    Attributes:
        start: the message `start` of the first offer. An agent that knows no streams carries it out.
        stays: True if this end comes back after the loss of its link even if all its commands have ended.
        speech: what the agent has answered.
    """

    def __init__(self, link: Link, stream: StreamEnd, keep: Callable[[], int]) -> None:
        self.start, self.stays = HARMLESS, False
        self.speech = Speech.NONE
        self._link, self._stream, self._keep = link, stream, keep
        self._id = secrets.token_hex(16)
        self._offers = 0

    def offer(self) -> None:
        """Sends the offer: over the first link to begin the stream, over a new link to go on with it.

        Raises:
            LinkLost: the link has ended.
        """
        resume = self.speech is Speech.STREAM
        self._offers += 1
        received, number = self._stream.received, self._offers
        offer = StreamOffer(self._id, resume, received, keep=self._keep(), number=number, stays=self.stays)
        self._link.send_control(replace(HARMLESS if resume else self.start, stream=offer))

    def hear(self, found: Control) -> Arrived:
        """Notes what a control message says about the offer. Returns what it has brought for the caller.

        This is the event GOAWAY if the agent has answered the offer of a new stream as if it were another one.
        """
        if self.speech is Speech.STREAM:
            return Arrived(control=found) if isinstance(found, Notice) else NOTHING
        if isinstance(found, StreamAnswer):
            if self.speech is not Speech.NONE or found.id != self._id:
                return NOTHING
            self.speech = Speech.STREAM
            if found.gone or not self.resume(found):
                words = "the agent has answered the offer of a new stream as if it were another one"
                return Arrived([Event(GOAWAY, None, 0, Reason("bad-answer", words))])
        elif isinstance(found, (Started, Error, Exit)):
            self.speech = Speech.TERMINAL
        return Arrived(control=found)

    def resume(self, answer: StreamAnswer) -> bool:
        """Begins to use the link. Returns False if the agent lacks bytes that this side does not keep any more."""
        self._link.limit_messages(MAX_MESSAGE, PARTS_ABOVE)
        return self._stream.link_up(answer.received, answer.message)

    def last_offer(self) -> StreamOffer:
        """Returns an offer to go on with the stream, for an agent that this side can send nothing more."""
        return StreamOffer(self._id, resume=True, received=self._stream.received)

"""The agent's side of a session, until the agent has said whether it accepts a stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.plain import PlainRemote
from medusa.client.session.remote.streamed import StreamRemote, fits
from medusa.client.streams.companion import Companion
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.lost_link.returning import Returning
from medusa.client.streams.negotiation import Speech
from medusa.protocol.control import Start
from medusa.transports.link import Link, LinkLost

ANSWER_TIMEOUT = 5.0
"""Seconds to wait for the agent's answer. After this time, the agent gets what the user types even if it is silent.

Some agents never answer: programs like socat, which attach to a port for raw TCP. If the agent sends output before
this time has passed, it is such a program, and the wait is over.
"""


class OfferedRemote:
    """The agent's side of a session, until the agent has said whether it accepts a stream.

    After the answer, another object takes the place of this one. Call `settled` after `receive` and `send`: it returns
    the object to use from now on.

    Args:
        conversation: the link and the stream that is offered.
        start: the message that asks the agent to start the command. It also carries the offer of the stream. An agent
            that knows no streams ignores the offer.
        tell: a function that shows a text to the user: a notice of the reflector's.
        clock: a function that returns monotonic seconds.
        stream: the object that takes this one's place if the agent accepts the stream. None to make an object that
            starts the command.
    """

    high_water = PlainRemote.high_water
    more = detachable = detached = False

    def __init__(
        self,
        conversation: Conversation,
        start: Start,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        stream: StreamRemote | None = None,
    ) -> None:
        self.link = conversation.link
        self._conversation, self._start, self._clock = conversation, start, clock
        self._plain = PlainRemote(self.link, start, tell)
        self._stream = stream or StreamRemote(conversation, start, tell, clock)
        self._settled: Remote = self
        self._answer_at = clock() + ANSWER_TIMEOUT

    def begin(self) -> None:
        self._conversation.begin(self._start)

    def settled(self) -> Remote:
        return self._settled

    def receive(self, room: int) -> bytes:
        while self._settled is self and (arrived := self._conversation.receive()) is not None:
            if self._conversation.speech is Speech.STREAM:
                self._settled = self._stream
                self._stream.begin()
                self._stream.take(arrived)
                continue
            if self._conversation.speech is Speech.TERMINAL or arrived.output:
                self._settle_plain()
            self._plain.handle(arrived.control)
            if arrived.output:
                return arrived.output
        return b""

    def rest(self) -> bytes:
        return b""

    @property
    def room(self) -> int:
        return self._plain.room if self._clock() >= self._answer_at and not self.parted else 0

    def send(self, data: bytes) -> None:
        self._settle_plain()
        self._plain.send(data)

    def _settle_plain(self) -> None:
        self._settled = self._plain
        self._conversation.no_stream()

    def resize(self, columns: int, lines: int) -> bool:
        return False

    def detach(self) -> None:
        raise AssertionError("it is not detachable")

    def part(self, take: Callable[[int], bytes]) -> None:
        raise AssertionError("it is not detachable")

    def flush(self) -> None:
        self._conversation.send()

    waits = lasting = sending = False

    @property
    def parted(self) -> bool:
        return self._conversation.parted

    def lost(self, lost: LinkLost) -> None:
        self._conversation.lost(lost)

    def step(self, events: Mapping[int, int]) -> None:
        self._conversation.step(events)

    def keep_alive(self) -> None:
        self._conversation.keep_alive()

    def wanted(self, room: int) -> dict[int, int]:
        return self._conversation.wanted() if self.parted else self._plain.wanted(room)

    def deadline(self) -> float:
        due = self._conversation.deadline()
        return due if self.parted or self._clock() >= self._answer_at else min(due, self._answer_at)

    def flush_at(self) -> float:
        return self.deadline()

    def close(self, reason: str, timeout: float) -> bool:
        return False if self.parted else self._plain.close(reason, timeout)


def remote_for(
    link: Link,
    start: Start,
    tell: Callable[[str], None],
    returning: Returning | None = None,
    companion: Companion | None = None,
) -> Remote:
    """Returns the object that stands for the agent's side of a session.

    If the command fits into the frame that opens a channel, the object offers the agent a stream. If the command is
    longer, the object starts it without a stream.

    Args:
        start: the message that asks the agent to start the command.
        tell: a function that shows a text to the user: a notice of the reflector's.
        returning: brings the session back after its link is lost; None if the session ends with its link.
        companion: what uses channels beside the session; None if there is nothing.
    """
    if not fits(start):
        if companion is not None:
            companion.unavailable()
        return PlainRemote(link, start, tell)
    return OfferedRemote(Conversation(link, returning=returning, companion=companion), start, tell)

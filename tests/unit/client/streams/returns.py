"""A client whose links break as the test says, and the agent at their far ends, at the test's own time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

from medusa.client.streams.arrived import Arrived
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.lost_link.backoff import Backoff
from medusa.client.streams.lost_link.progress import Progress
from medusa.client.streams.lost_link.returning import Returning
from medusa.client.streams.lost_link.sleep_watch import SleepWatch
from medusa.client.terminal.messages import Messages
from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control, Linkup, Start, StreamAnswer, build, parse
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused
from medusa.transports.link import Link, LinkLost, Loss
from medusa.transports.steps import Steps, Wait
from tests.memory_transport import memory_pair

AGENT = "a" * 32
BROKEN = LinkLost(Loss.BROKEN, "reset")


class Reflector:
    """Makes links for a client: what an attempt gives is what the test has put into `answers`, else a link.

    Attributes:
        answers: what the next attempts meet.
        far: the far end of the last link.
        attempts: the times of all attempts.
        ticket: the client's ticket.
    """

    def __init__(self, client: World) -> None:
        self.client = client
        self.answers: list[ConnectRefused] = []
        self.attempts: list[float] = []
        self.ticket: str | None = "first"
        self.signs = False

    @property
    def returns(self) -> bool:
        return self.ticket is not None or self.signs

    def take_ticket(self, ticket: str) -> None:
        self.ticket = ticket

    def refused(self) -> bool:
        had, self.ticket = self.ticket, None
        self.signs = had is not None
        return self.signs

    def attempt(self, deadline: float) -> Steps[Transport]:
        self.attempts.append(self.client.now)
        yield Wait({}, -math.inf)
        if self.answers:
            raise self.answers.pop(0)
        near, self.far = memory_pair()
        return near


class World:
    """A client with one stream, and its agent.

    Attributes:
        now: the time.
        asleep: for how many seconds the machine has slept so far.
        over: whether the job has ended.
        end: the agent's end of the stream.
        arrived: what has come to the client.
    """

    def __init__(self, keep: int = 3600, features: tuple[str, ...] = ("hold",)) -> None:
        self.now = self.asleep = 0.0
        self.over = False
        self.reflector = Reflector(self)
        near, self.reflector.far = memory_pair()
        self.link = Link(near, lambda: self.now)
        self.said, self._stderr = os.pipe()
        os.set_blocking(self.said, False)
        self.returning = Returning(
            self.reflector,
            keep,
            Progress(Messages(self._stderr), "~. ends it"),
            clock=lambda: self.now,
            backoff=Backoff(lambda: 0.0),
            sleep_watch=SleepWatch(lambda: self.asleep),
        )
        self.returning.over = lambda: self.over
        self.conversation = Conversation(self.link, lambda: self.now, self.returning)
        self.end = StreamEnd(Role.AGENT)
        self.channel: Channel | None = None
        self.arrived: list[Arrived] = []
        self.conversation.begin(Start())
        offer = self.hear_start()
        self.id, self.keep = offer.id, offer.keep
        self.answer(features=features)

    def close(self) -> None:
        self.returning.close()
        os.close(self.said)
        os.close(self._stderr)

    def told(self) -> list[str]:
        """What the user was told since the last call."""
        try:
            return os.read(self.said, 65536).decode().splitlines()
        except BlockingIOError:
            return []

    # ------------------------------------------------------------------ the client

    def round(self) -> None:
        """One round of the client's loop."""
        try:
            self.conversation.step({})
            while (arrived := self.conversation.receive()) is not None:
                self.arrived.append(arrived)
            self.conversation.send()
            self.conversation.keep_alive()
        except LinkLost as lost:
            self.conversation.lost(lost)

    def cut(self, lost: LinkLost = BROKEN) -> None:
        """The link is lost."""
        self.end.link_down()
        self.conversation.lost(lost)

    def wait(self, seconds: float) -> None:
        """Time passes; the client does what is due."""
        until = self.now + seconds
        while True:
            self.round()
            due = self.conversation.deadline()
            if due > until:
                break
            self.now = max(self.now, due)
        self.now = until

    def until_there(self) -> None:
        """Lets the client dial until there is a link."""
        links = self.reflector.far
        while self.reflector.far is links:
            self.now = max(self.now, min(self.conversation.deadline(), self.now + 100))
            self.round()

    def events(self) -> Iterator[Event]:
        """What has happened in the stream since the last call."""
        arrived, self.arrived = self.arrived, []
        return (event for one in arrived for event in one.events)

    # ------------------------------------------------------------------ the agent

    def say(self, *messages: Control | Message) -> None:
        for message in messages:
            whole = Text(build(message)) if isinstance(message, Control) else message
            self.reflector.far.send_nowait(whole)

    def hear(self) -> list[Message]:
        """What has come to the far end."""
        found = []
        while (message := self.reflector.far.receive_nowait()) is not None:
            found.append(message)
        return found

    def hear_start(self) -> StreamOffer:
        (message,) = [found for found in self.hear() if isinstance(found, Text)]
        start = parse(message.text)
        assert isinstance(start, Start)
        assert start.stream is not None
        return start.stream

    def answer(self, received: int | None = None, **fields: Any) -> None:
        """The agent goes on with the stream."""
        received = self.end.received if received is None else received
        self.say(StreamAnswer(**{"id": self.id, "received": received, "incarnation": AGENT, **fields}))
        self.end.link_up(0)
        self.round()

    def resume(self) -> StreamOffer:
        """There is a link again, and the agent goes on with the stream. Returns the client's offer."""
        self.until_there()
        self.say(Linkup())
        self.round()
        offer = self.hear_start()
        assert offer.resume
        self.say(StreamAnswer(self.id, self.end.received, AGENT))
        assert self.end.link_up(offer.received)
        self.round()
        assert not self.conversation.parted
        return offer

    def talk(self) -> None:
        """Passes what waits in both directions."""
        self.round()
        for message in self.hear():
            if isinstance(message, Binary):
                for event in self.end.receive(message.data, self.now):
                    if event.type == frames.OPEN:
                        self.channel = event.channel
                        event.channel.accept()
        while (data := self.end.next_message(self.now)) is not None:
            self.say(Binary(b"".join(data)))
        self.round()

    def bye(self, code: int, reason: str) -> None:
        self.say(Close(code, reason))
        self.round()

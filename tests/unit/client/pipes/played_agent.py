"""An agent that speaks streams, played by a test in a thread at the far end of mlogin's link."""

from __future__ import annotations

import time
from collections.abc import Callable

from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.kinds import STDIN, Role
from medusa.protocol.control import Start, StreamAnswer, parse
from medusa.protocol.messages import Binary, Close, Text
from medusa.protocol.streams.end import StreamEnd
from tests.unit.client.peers import Peer
from tests.waiting import PATIENCE


class PlayedAgent:
    """The agent's end of one stream with one command.

    Attributes:
        start: what the client has sent first.
        wish: the fields of the client's OPEN.
        typed: what has come on standard input.
        ended: True if standard input has ended.
        requests: the REQUESTs that have come.
        stopped: the subs that the client does not want any more.
        closed: the reason of the client's Close; None before it.
    """

    channel: Channel

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.stream = StreamEnd(Role.AGENT)
        self.wish: dict[str, object] = {}
        self.typed = b""
        self.ended = False
        self.requests: list[dict[str, object]] = []
        self.stopped: list[int] = []
        self.goodbye = ""
        self.closed: str | None = None

    def answer(self) -> None:
        """Accepts the stream, and waits for OPEN."""
        start = self.peer.hear(Start)
        assert isinstance(start, Start)
        assert start.stream is not None
        self.start = start
        self.peer.say(StreamAnswer(start.stream.id, 0, "a" * 32))
        assert self.stream.link_up(0)
        self.until(lambda: bool(self.wish))

    def accept(self) -> None:
        self.answer()
        self.channel.accept()
        self.flush()

    def flush(self) -> None:
        while (message := self.stream.next_message(time.monotonic())) is not None:
            self.peer.say(b"".join(message))

    def until(self, done: Callable[[], bool]) -> None:
        """Receives messages until `done()`."""
        while not done():
            self.take()

    def take(self) -> None:
        message = self.peer.transport.receive(PATIENCE)
        if isinstance(message, Binary):
            for event in self.stream.receive(message.data, time.monotonic()):
                self._act(event)
            self.flush()
        elif isinstance(message, Close):
            self.closed = message.reason
        elif isinstance(message, Text):
            assert parse(message.text) is None, message

    def write(self, sub: int, data: bytes) -> None:
        """Sends `data`, however long it takes."""
        while data and sub not in self.stopped:
            room = self.channel.room(sub)
            self.channel.write(sub, data[:room])
            data = data[room:]
            self.flush()
            if data and sub not in self.stopped:
                self.take()

    def end(self, **result: object) -> None:
        """The command ends, and the client goes away."""
        self.channel.result(**result)
        self.channel.close()
        self.flush()
        self.until(lambda: self.closed is not None)

    def _act(self, event: Event) -> None:
        if event.type == frames.OPEN:
            self.channel, self.wish = event.channel, event.value
        elif event.type == frames.DATA:
            reader = self.channel.readers[STDIN]
            self.typed += reader.read(len(reader), time.monotonic())
        elif event.type == frames.EOF:
            self.ended = True
        elif event.type == frames.REQUEST:
            self.requests.append(event.value)
        elif event.type == frames.STOP:
            self.stopped.append(event.sub)
        elif event.type == frames.GOAWAY:
            self.goodbye = event.value.code

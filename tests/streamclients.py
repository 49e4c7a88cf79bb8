"""Clients that speak a stream with an agent (docs/protocol.md, part 3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import CLOSE, DATA, EOF, GOAWAY, OPEN, OPENED, REFUSED, RESULT, STOP, Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control, Start, StreamAnswer, build, parse
from medusa.protocol.messages import Binary, Text
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.base import ClosedTransport
from tests.blocking import BlockingTransport
from tests.waiting import PATIENCE, Deadline

STREAM_ID = "00112233445566778899aabbccddeeff"
PIPES = {"command": None, "pty": None}
PTY = {"columns": 80, "lines": 25, "term": "xterm"}


class Run:
    """A channel of the kind `session` or `attach`, and what has come of it."""

    def __init__(self, client: StreamClient, channel: Channel) -> None:
        self.client, self.channel = client, channel
        self.output = dict.fromkeys(channel.readers, b"")
        self.reading = True
        self.opened: dict[str, Any] | None = None
        self.refused: Any = None
        self.result: dict[str, Any] | None = None
        self.closed: Any = None
        self.stopped: set[int] = set()
        self.wrong: list[str] = []

    def happened(self, event: Event) -> None:
        if event.type == OPENED:
            self.opened = event.value
        elif event.type == REFUSED:
            self.refused = event.value
        elif event.type == RESULT:
            self.result = event.value
        elif event.type == CLOSE:
            self.closed = event.value
        elif event.type == STOP:
            self.stopped.add(event.sub)
        elif event.type == EOF and event.value:
            self.wrong.append(event.value)

    def take(self) -> None:
        """Reads what has arrived, unless the test has set `reading` to False."""
        for sub, reader in self.channel.readers.items():
            if self.reading and len(reader):
                self.output[sub] += reader.read(len(reader), time.monotonic())

    def go_on(self) -> None:
        """Reads again."""
        self.reading = True
        self.take()
        self.client.pump()

    def started(self) -> Run:
        self.client.until(lambda: self.opened is not None or self.refused)
        assert self.opened is not None, self.refused
        return self

    def refusal(self) -> Reason:
        """Why the agent has refused the channel."""
        self.client.until(lambda: self.opened is not None or self.refused)
        assert isinstance(self.refused, Reason)
        return self.refused

    @property
    def pid(self) -> int:
        """The pid of the command, when it has started."""
        opened = self.started().opened
        assert opened is not None
        return int(opened["pid"])

    def give(self, data: bytes) -> None:
        """Writes all of `data` to stdin."""
        at = 0
        while at < len(data) and 0 not in self.stopped:
            self.client.until(lambda: self.channel.room(0) or 0 in self.stopped)
            piece = data[at : at + self.channel.room(0)]
            self.channel.write(0, piece)
            at += len(piece)
        self.client.pump()

    def detach(self) -> None:
        """Leaves the terminal, and waits until the agent has noted it."""
        self.channel.request("detach")
        self.client.until(lambda: self.closed)
        assert self.closed.code == "detached"

    def end(self) -> None:
        self.channel.end(0)
        self.client.pump()

    def until(self, pattern: bytes, sub: int = 1) -> bytes:
        """The output of `sub` up to the end of `pattern`."""
        self.client.until(lambda: pattern in self.output[sub] or self.closed)
        found, middle, self.output[sub] = self.output[sub].partition(pattern)
        assert middle, found
        return found + middle

    def outcome(self) -> dict[str, Any]:
        """The RESULT, after which all of the output is there and complete."""
        self.client.until(lambda: self.closed is not None or self.refused)
        assert self.result is not None, (self.refused, self.closed, self.output)
        assert all(reader.complete for reader in self.channel.readers.values())
        return {name: value for name, value in self.result.items() if value is not None}


class StreamClient:
    """The client of an agent that has accepted a stream."""

    def __init__(self, link: BlockingTransport) -> None:
        self.link = link
        self.stream = StreamEnd(Role.CLIENT)
        self.runs: dict[int, Run] = {}
        self.offered: list[tuple[Channel, dict[str, Any]]] = []
        self.goaway: Any = None
        self.answer: StreamAnswer | None = None

    def start(self, wish: Start | None = None) -> StreamClient:
        """Offers a stream."""
        offer = wish.stream if wish is not None else StreamOffer(STREAM_ID)
        self.send_control(wish or Start(stream=offer))
        answer = self.control()
        assert isinstance(answer, StreamAnswer), answer
        assert offer is not None
        assert answer.id == offer.id
        assert self.stream.link_up(answer.received)
        self.answer = answer
        return self

    def send_control(self, message: Control) -> None:
        self.link.send(Text(build(message)), PATIENCE)

    def control(self) -> Control | None:
        """The next control message."""
        while True:
            message = self.link.receive(PATIENCE)
            if isinstance(message, Text):
                return parse(message.text)

    def run(self, command: str | None, **fields: Any) -> Run:
        """Opens a session for a shell line."""
        return self.open("session", command=command, **fields)

    def attach(self, terminal: int | str | None = None, **fields: Any) -> Run:
        """Opens a channel that shows a terminal."""
        return self.open("attach", terminal=terminal, **fields)

    def open(self, kind: str, **fields: Any) -> Run:
        """Opens a channel."""
        run = Run(self, self.stream.channels.open(kind, **fields))
        self.runs[run.channel.number] = run
        self.pump()
        return run

    def accept(self, count: int = 1) -> list[Run]:
        """Accepts channels that the agent has opened, in their order."""
        self.until(lambda: len(self.offered) >= count)
        runs = [Run(self, channel) for channel, _ in self.offered[:count]]
        del self.offered[:count]
        for run in runs:
            self.runs[run.channel.number] = run
            run.channel.accept()
        self.pump()
        return runs

    def pump(self) -> None:
        """Sends all that can be sent."""
        while (message := self.stream.next_message(time.monotonic())) is not None:
            self.link.send(Binary(b"".join(message)), PATIENCE)

    def step(self, seconds: float) -> bool:
        """Sends, then receives at most one message. False if none came."""
        self.pump()
        try:
            message = self.link.receive(seconds)
        except TimeoutError:
            return False
        if isinstance(message, Binary):
            for event in self.stream.receive(message.data, time.monotonic()):
                self._happened(event)
        for run in self.runs.values():
            run.take()
        self.pump()
        return True

    def _happened(self, event: Event) -> None:
        if event.type == GOAWAY:
            self.goaway = event.value
        elif event.type == OPEN:
            self.offered.append((event.channel, event.value))
        elif event.type != DATA and event.channel.number in self.runs:
            self.runs[event.channel.number].happened(event)

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Goes on until the condition holds."""
        deadline = Deadline(seconds)
        self.pump()
        while not condition():
            at = self.stream.deadline()
            left = deadline.left
            assert left, "still waiting"
            self.step(min(left, max(0.0, at - time.monotonic())) if at else left)

    def leave(self) -> str:
        """Ends the stream in good order. Returns the reason of the agent's Close."""
        self.stream.go_away()
        self.pump()
        return self.closed()

    def closed(self) -> str:
        """Waits for the agent's Close."""
        with pytest.raises(ClosedTransport) as caught:
            self.until(lambda: False)
        assert caught.value.close is not None
        return caught.value.close.reason

"""The other end of a client's link, played by the test: an agent that accepts the offer of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import Reason
from medusa.protocol.channels.kinds import STDIN, STDOUT, Role
from medusa.protocol.control import Control, Error, Exit, Resize, Start, Started, StreamAnswer, parse
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.protocol.record import replace
from medusa.protocol.streams.end import StreamEnd
from tests.blocking import BlockingTransport
from tests.unit.client.peers import Peer
from tests.waiting import MS, PATIENCE


class StreamPeer(Peer):
    """Says and hears on a channel what a Peer says and hears in messages of its own.

    Attributes:
        wish: the parameters of the channel that the client has opened.
    """

    def __init__(self, transport: BlockingTransport, script: Callable[[Peer], None]) -> None:
        super().__init__(transport, script)
        self.end = StreamEnd(Role.AGENT)
        self.channel: Channel | None = None
        self.wish: dict[str, Any] = {}
        self._heard: list[Control | Close] = []

    def say(self, message: Control | bytes | Message) -> None:
        if isinstance(message, bytes):
            self._write(message)
        elif isinstance(message, (Started, Exit, Error)):
            self._say(message)
        else:
            super().say(message)

    def hear(self, kind: type[Control] | type[Close]) -> Control | Close:
        if kind is Start:
            return self._begin()
        while True:
            for heard in self._heard:
                if isinstance(heard, kind):
                    self._heard.remove(heard)
                    return heard
            self._receive()

    def hear_typed(self, wanted: bytes) -> None:
        self._accepted()
        while not self.typed.endswith(wanted):
            self._receive()

    def fill(self) -> int:
        channel, taken = self._accepted(), 0
        try:
            while True:
                while not (room := channel.room(STDOUT)):
                    self._receive(300 * MS)
                self._write(bytes(room))
                taken += room
        except TimeoutError:
            return taken

    def answer(self) -> Start:
        """Hears `start` and accepts the stream. Returns `start` without the offer."""
        start = super().hear(Start)
        assert isinstance(start, Start)
        assert start.stream is not None
        super().say(StreamAnswer(start.stream.id, 0, "0" * 32))
        self.end.link_up(0)
        return replace(start, stream=None)

    def opened(self) -> Channel:
        """Returns the channel that the client opens."""
        while self.channel is None:
            self._receive()
        return self.channel

    def send(self) -> None:
        """Sends what waits in the stream."""
        while message := self.end.next_message(time.monotonic()):
            self.transport.send(Binary(b"".join(message)), PATIENCE)

    def requested(self, name: str) -> None:
        """Called for each request of the client but `resize`."""
        raise AssertionError(name)

    def _begin(self) -> Start:
        start = self.answer()
        while self.channel is None and not self._heard:
            self._receive()
        return start

    def _accepted(self) -> Channel:
        assert self.channel is not None
        self.channel.accept()
        self.send()
        return self.channel

    def _say(self, message: Started | Exit | Error) -> None:
        assert self.channel is not None
        if isinstance(message, Started):
            self.channel.accept()
        elif isinstance(message, Error):
            self.channel.close(Reason("failed", message.error))
        else:
            self.channel.accept()
            self.channel.result(status=message.status, signal=message.signal)
        self.send()

    def _write(self, data: bytes) -> None:
        channel = self._accepted()
        while data:
            room = channel.room(STDOUT)
            if not room:
                self._receive()
            channel.write(STDOUT, data[:room])
            data = data[room:]
            self.send()

    def _receive(self, timeout: float = PATIENCE) -> Message:
        message = self.transport.receive(timeout)
        if isinstance(message, Binary):
            for event in self.end.receive(message.data, time.monotonic()):
                self._on_event(event)
            self.send()
        elif isinstance(message, Close):
            self._heard.append(message)
        elif isinstance(message, Text) and (control := parse(message.text)):
            self._heard.append(control)
        return message

    def _on_event(self, event: Event) -> None:
        if event.type == frames.OPEN:
            self.channel, self.wish = event.channel, event.value
        elif event.type == frames.REQUEST:
            fields = dict(event.value)
            name = fields.pop("type")
            if name == "resize":
                self._heard.append(Resize(**fields))
            else:
                self.requested(name)
        elif event.type == frames.DATA:
            self.typed += event.channel.readers[STDIN].read(1 << 20, time.monotonic())

"""One agent with many clients that speak a stream, and clients that send what they like."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.control import Call, Start, StreamAnswer
from medusa.protocol.messages import Binary
from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Client, Reflector, from_source, job_environ, launched, write_config
from tests.streamclients import StreamClient
from tests.streams.wire import cut_frames, record


class RawStream:
    """A stream whose client sends what it likes."""

    def __init__(self, client: Client, stream_id: str) -> None:
        self.link = client.link
        client.send_control(Start(stream=StreamOffer(stream_id)))
        assert isinstance(client.control(), StreamAnswer)
        self.sent = 0
        self.received = b""

    def send(self, data: bytes) -> None:
        """Sends frames, in as many messages as they need."""
        for at in range(0, len(data), 60_000):
            self.link.send(Binary(record(1, self.sent, data[at : at + 60_000])))
            self.sent += len(data[at : at + 60_000])

    def receive(self) -> None:
        message = self.link.receive()
        if isinstance(message, Binary):
            data = message.data[9:] if message.data[0] == 2 else message.data
            self.received += data[9:]

    def until(self, kind: int, channel: int) -> tuple[int, int, int, bytes]:
        """The first frame of a type on a channel."""
        while True:
            for found in cut_frames(self.received, partial=True):
                if (found[0], found[2]) == (kind, channel):
                    return found
            self.receive()

    def code(self, kind: int = 11, channel: int = 0) -> str:
        """The code in the first CLOSE, REFUSED or GOAWAY."""
        return str(json.loads(self.until(kind, channel)[3])["code"])


class Legs:
    """Further clients of the agent. The reflector calls the agent over the link of a client that lives: `one_agent`."""

    def __init__(self, reflector: Reflector, keeper: StreamClient | Client) -> None:
        self.reflector, self.keeper, self.count = reflector, keeper, 0

    def call(self, over: StreamClient | Client | None = None) -> Client:
        """One more client. The agent is called over the link of another one."""
        over = over or self.keeper
        if isinstance(over, StreamClient):
            over.step(0)  # answers pings
        self.count += 1
        leg = f"{self.count:032x}"
        over.send_control(Call(leg))
        client = self.reflector.accept()
        head = self.reflector.heads[-1].decode()
        assert f"medusa-leg: {leg}\r\n" in head.lower() + "\r\n"
        assert head.startswith("GET /attach/a-job/slave HTTP")
        return client

    @contextlib.contextmanager
    def stream(self, over: StreamClient | Client | None = None) -> Iterator[StreamClient]:
        """One more client, with a stream."""
        client = StreamClient(self.call(over).link)
        try:
            yield client.start(Start(stream=StreamOffer(f"{self.count:032x}")))
        finally:
            client.link.abort()

    @contextlib.contextmanager
    def raw(self) -> Iterator[RawStream]:
        """One more client, with a stream on which it sends what it likes."""
        client = self.call()
        try:
            yield RawStream(client, f"{self.count:032x}")
        finally:
            client.link.abort()


@contextlib.contextmanager
def one_agent(directory: Path, timeouts: Timeouts = DEFAULT_TIMEOUTS, **environ: str) -> Iterator[Legs]:
    """An agent for many clients; its config is in `directory`."""
    reflector = Reflector()
    command = from_source("--config", str(write_config(directory, reflector.url)), timeouts=timeouts)
    with contextlib.closing(reflector), launched(command, job_environ(**environ)) as agent:
        keeper = StreamClient(reflector.accept().link).start()
        yield Legs(reflector, keeper)
        assert keeper.leave() == "done"
        assert agent.finish()[0] == 0
        keeper.link.abort()

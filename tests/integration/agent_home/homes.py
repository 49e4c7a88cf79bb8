"""A home link of an agent, and the streams that survive it."""

from __future__ import annotations

from medusa.protocol.control import Call, Start, StreamAnswer
from medusa.protocol.messages import Close, Ping, Text
from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Agent, Client, Reflector
from tests.streamclients import STREAM_ID, StreamClient
from tests.waiting import PATIENCE


class Home:
    """The reflector's end of the agent's home link."""

    def __init__(self, reflector: Reflector) -> None:
        self.reflector, self.count = reflector, 0
        self.link = reflector.accept("first", 60)

    @property
    def head(self) -> str:
        """The head of the last request, in lower case."""
        return self.reflector.heads[-1].decode().lower() + "\r\n"

    def call(self) -> Client:
        """A link of one more client."""
        self.count += 1
        self.link.send_control(Call(f"{self.count:032x}"))
        client = self.reflector.accept()
        assert f"medusa-leg: {self.count:032x}\r\n" in self.head
        return client

    def stream(self, wish: StreamOffer | None = None) -> StreamClient:
        return StreamClient(self.call().link).start(None if wish is None else Start(stream=wish))

    def lose(self, close: Close | None = None) -> None:
        if close is not None:
            self.link.link.send(close, PATIENCE)
        self.link.link.abort()

    def back(self, ticket: str = "second", hold: int = 60) -> None:
        self.link = self.reflector.accept(ticket, hold)


def resume(home: Home, client: StreamClient, keep: int = 60) -> StreamAnswer:
    """The stream goes on over a new link."""
    leg = home.call()
    offer = StreamOffer(STREAM_ID, resume=True, received=client.stream.received, keep=keep)
    leg.send_control(Start(stream=offer))
    answer = leg.control()
    assert isinstance(answer, StreamAnswer)
    client.link.abort()
    client.link = leg.link
    if not answer.gone:
        client.stream.link_down()
        assert client.stream.link_up(answer.received)
    return answer


def finish(home: Home, agent: Agent, reason: str = "done") -> tuple[int, str]:
    """The agent closes the home link last, and ends."""
    while isinstance(message := home.link.link.receive(PATIENCE), (Ping, Text)):
        pass
    assert message == Close(1000, reason)
    home.link.link.abort()
    return agent.finish()

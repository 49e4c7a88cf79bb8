"""A conversation in asyncio's loop: its answer, its ends, and its channels. The conversation is a stand-in."""

from __future__ import annotations

import asyncio
import math
import selectors
import socket
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.client.aio.driver import TOO_OLD, Driver
from medusa.client.aio.errors import ChannelClosed, ChannelRefused
from medusa.client.outcome import Failure, OutcomeUnknown
from medusa.client.streams.arrived import Arrived
from medusa.client.streams.negotiation import Speech
from medusa.client.timeouts import Timeouts
from medusa.protocol.channels.channel import Event, TooManyChannels
from medusa.protocol.channels.frames import GOAWAY, OPEN, REFUSED, Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.multiplexer import Channels
from medusa.protocol.control import Error, StreamAnswer
from medusa.protocol.errors import StreamError
from medusa.transports.link import LinkLost, Loss
from tests.streams.wire import PLENTY

ANSWER = Arrived(control=StreamAnswer(id="a" * 32, received=0, incarnation="b" * 32))
LOST = LinkLost(Loss.SILENT)


class Talk:
    """A conversation that brings what it is told to bring."""

    def __init__(self, *arrives: Arrived | Exception) -> None:
        self.arrives = list(arrives)
        self.link: Any = SimpleNamespace(heard=math.inf, sent=0, received=0, reset_keepalive=lambda: None)
        self.speech, self.parted, self.unread, self.waits, self.lasting = Speech.NONE, False, False, False, False
        self.wants: dict[int, int] = {}
        self.ready: list[dict[int, int]] = []
        self.channels = Channels(Role.CLIENT)
        self.comes_back = False

    def begin(self, *wish: object, stays: bool) -> None:
        pass

    def open(self, kind: str, /, **parameters: object) -> Any:
        return self.channels.open(kind, **parameters)

    def step(self, events: dict[int, int]) -> None:
        self.ready.append(events)

    def receive(self) -> Arrived | None:
        if not self.arrives:
            return None
        found = self.arrives.pop(0)
        if isinstance(found, Exception):
            raise found
        if isinstance(found.control, StreamAnswer):
            self.speech = Speech.STREAM
        return found

    def lost(self, lost: LinkLost) -> None:
        if not self.comes_back:
            raise lost
        self.parted = True

    def fail(self, error: StreamError) -> Event:
        return self.channels.fail(error)

    def keep_alive(self) -> None:
        pass

    def send(self) -> None:
        pass

    def wanted(self) -> dict[int, int]:
        return self.wants

    def deadline(self) -> float:
        return math.inf


def drive(talk: Any, main: Callable[[Driver], Coroutine[Any, Any, None]], **given: Any) -> None:
    """Runs `main` with a driver of `talk`, in a loop as AioSession has it."""

    async def run() -> None:
        driver = Driver(talk, lambda words: None, **given)
        driver.wake()
        await main(driver)
        driver.close()

    loop = asyncio.SelectorEventLoop(selectors.PollSelector())
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def ends(talk: Talk, **given: Any) -> Failure:
    """The error with which `begin` fails."""
    found: list[Failure] = []

    async def main(driver: Driver) -> None:
        with pytest.raises(Failure) as failure:
            await driver.begin()
        found.append(failure.value)
        with pytest.raises(ChannelClosed) as closed:
            driver.open_nowait("info")
        assert str(failure.value).startswith(str(closed.value)[:20])

    drive(talk, main, **given)
    return found[0]


def test_the_agent_is_too_old() -> None:
    talk = Talk(Arrived(control=Error(error="no\x1b shell")))
    talk.speech = Speech.TERMINAL
    assert str(ends(talk)).startswith(f"{TOO_OLD}\nthe agent says: no")


def test_the_link_ends_before_the_answer() -> None:
    assert not isinstance(ends(Talk(LOST)), OutcomeUnknown)


def test_the_agent_does_not_answer() -> None:
    assert str(ends(Talk(), timeouts=Timeouts(answer_timeout=0.0))) == "the agent has not answered for 0 s"


def test_the_link_ends_after_the_answer() -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        channel = driver.open_nowait("info")
        reading = asyncio.ensure_future(channel.wait_opened())
        await asyncio.sleep(0)
        talk.arrives.append(LOST)
        driver.wake()
        assert isinstance(await driver.over, OutcomeUnknown)
        with pytest.raises(ChannelClosed) as closed:
            await reading
        assert closed.value.code == "over"

    talk = Talk(ANSWER)
    drive(talk, main)


def test_a_link_that_comes_back_ends_nothing() -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        channel = driver.open_nowait("info")
        talk.arrives.append(LOST)
        driver.wake()
        while not driver.parted:
            await asyncio.sleep(0)
        talk.parted = False
        reason = Reason("x", "refused by the agent")
        talk.arrives.append(Arrived([Event(REFUSED, channel.channel, 0, reason)]))
        driver.resumed()
        with pytest.raises(ChannelRefused, match="refused by the agent"):
            await channel.wait_opened()
        assert not driver.over.done()

    talk = Talk(ANSWER)
    talk.comes_back = True
    drive(talk, main)


def test_the_agent_ends_the_stream() -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        talk.arrives.append(Arrived([Event(GOAWAY, None, 0, Reason("stopped", "the agent was stopped"))]))
        driver.wake()
        assert "the agent was stopped" in str(await driver.over)

    talk = Talk(ANSWER)
    drive(talk, main)


def test_what_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(error: Exception) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise error

        return fail

    async def main(driver: Driver) -> None:
        await driver.begin()
        for error, code in ((TooManyChannels("too many"), "limit"), (ValueError("no such kind"), "bad-open")):
            monkeypatch.setattr(talk, "open", raises(error))
            with pytest.raises(ChannelRefused, match=str(error)) as refused:
                await driver.open("info")
            assert refused.value.code == code
        monkeypatch.setattr(talk, "open", raises(StreamError("overflow", "too much waits")))
        with pytest.raises(ChannelClosed, match="too much waits"):
            await driver.open("info")
        assert driver.over.done()

    talk = Talk(ANSWER)
    drive(talk, main)


@pytest.mark.parametrize("taken", [True, False])
def test_channels_that_the_agent_offers(taken: bool) -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        if taken:
            driver.offered = lambda channel, fields: channel.accept()
        agent = Channels(Role.AGENT)
        agent.open("accepted", listener=1, peer="x:1")
        events = talk.channels.receive(b"".join(agent.take(*PLENTY)), 0.0)
        assert [event.type for event in events] == [OPEN]
        talk.arrives.append(Arrived(events))
        driver.wake()
        while talk.arrives:
            await asyncio.sleep(0)
        (event, *_) = agent.receive(b"".join(talk.channels.take(*PLENTY)), 0.0)
        assert (event.type == REFUSED) is not taken

    talk = Talk(ANSWER)
    drive(talk, main)


def test_a_descriptor_is_watched_while_it_is_wanted() -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        near.send(b"x")
        while {far.fileno(): selectors.EVENT_READ} not in talk.ready:
            await asyncio.sleep(0)
        talk.wants = {}
        driver.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        talk.ready.clear()
        await asyncio.sleep(0)
        assert talk.ready == []

    near, far = socket.socketpair()
    with near, far:
        talk = Talk(ANSWER)
        talk.wants = {far.fileno(): selectors.EVENT_READ}
        drive(talk, main, clock=time.monotonic)

"""The old protocol of scp: which commands are those of a client's scp, and what the client is told in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest
from asyncssh.stream import SSHReader, SSHServerStreamSession

from medusa.client.aio.driver import Driver
from medusa.client.aio.errors import ChannelError
from medusa.client.ssh.scp import server
from medusa.client.ssh.scp.requests import Requests
from medusa.client.ssh.scp.server import is_scp, serve
from medusa.client.ssh.session import Session
from medusa.client.streams.arrived import Arrived
from medusa.protocol.channels.channel import Event
from medusa.protocol.channels.frames import OPENED
from tests.unit.client.aio.test_driver import ANSWER, LOST, Talk, drive


@pytest.mark.parametrize("command", ["scp -t x", "scp -v -r -p -d -t .", "scp -f a b", "scp -t -- -x", "scp -f 'a\nb'"])
def test_of_a_client(command: str) -> None:
    assert is_scp(command)


@pytest.mark.parametrize(
    "command", ["scp", "scp -t ", "scp x host:", "scp -rt x", "scp -3 -t x", "scp2 -t x", "ls; scp -t x"]
)
def test_of_a_user(command: str) -> None:
    assert not is_scp(command)


class Chan:
    """asyncssh's channel: what it was told."""

    def __init__(self) -> None:
        self.status: int | None = None

    def exit(self, status: int) -> None:
        self.status = status

    def is_closing(self) -> bool:
        return self.status is not None

    def get_encoding(self) -> tuple[None, str]:
        return None, "strict"

    def get_recv_window(self) -> int:
        return 1000

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given: ()


async def accepted(talk: Talk, driver: Driver) -> None:
    """Lets the agent accept the next channel that is opened."""
    before = set(driver._channels)
    while not (new := set(driver._channels) - before):
        await asyncio.sleep(0)
    channel = driver._channels[new.pop()].channel
    channel.writers[0].limit = 1000
    talk.arrives.append(Arrived([Event(OPENED, channel, 0, {})]))
    driver.wake()


@pytest.mark.parametrize("opened", [False, True])
def test_the_conversation_ends_before_the_server_has_answered(opened: bool) -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        chan = Chan()
        serving = asyncio.ensure_future(serve(driver, chan, "scp -t x", "", lambda session: None))
        if opened:
            await accepted(talk, driver)
            while talk.arrives:
                await asyncio.sleep(0)
        talk.arrives.append(LOST)
        driver.wake()
        words = "the server for the job's files has failed: ." if opened else "."
        with pytest.raises(ChannelError, match=words):
            await serving
        assert chan.status is None

    talk = Talk(ANSWER)
    drive(talk, main)


def test_a_status_is_told_if_asyncssh_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise asyncssh.SFTPFailure("x")

    async def begin() -> None:
        pass

    async def main(driver: Driver) -> None:
        await driver.begin()
        chan = Chan()
        serving = asyncio.ensure_future(serve(driver, chan, "scp -t x", "", lambda session: None))
        await accepted(talk, driver)
        await serving
        assert chan.status == 1

    monkeypatch.setattr(server, "run_scp_server", fail)
    monkeypatch.setattr(Requests, "run", lambda self, work: begin())
    talk = Talk(ANSWER)
    drive(talk, main)


def test_the_end_of_the_connection_ends_the_copy() -> None:
    async def main(driver: Driver) -> None:
        await driver.begin()
        packets: Any = None
        chan: Any = Chan()
        session = Session(driver, packets, "")
        session.connection_made(chan)
        copying: SSHServerStreamSession[bytes] = SSHServerStreamSession(None, None)
        copying.connection_made(chan)
        session._use(copying)
        session._waiter = asyncio.ensure_future(asyncio.sleep(1000))
        session.data_received(b"C0644 1 x\n", None)
        session.connection_lost(asyncssh.ConnectionLost("gone"))
        reader = SSHReader(copying, chan)
        assert await reader.read(100) == b"C0644 1 x\n"
        with pytest.raises(asyncssh.ConnectionLost):
            await reader.read(100)
        with pytest.raises(asyncio.CancelledError):
            await session._waiter

    drive(Talk(ANSWER), main)

"""One channel for coroutines, against the agent's end of it. Nothing moves between the two ends but by `move`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from medusa.client.aio.channel_io import ChannelIO
from medusa.client.aio.errors import ChannelClosed, ChannelRefused, ChannelStopped
from medusa.protocol.channels.frames import OPEN, Reason
from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.multiplexer import Channels
from tests.streams.wire import PLENTY

BYTES = bytes(range(256)) * 8192


class Wire:
    """Both ends of a stream without a link, and the Sender of the channel `io`; `theirs` is the agent's end of it."""

    theirs: Any

    def __init__(self, kind: str, **parameters: object) -> None:
        self._client, self._agent = Channels(Role.CLIENT), Channels(Role.AGENT)
        self.io = ChannelIO(self._client.open(kind, **parameters), self)
        self.move()

    def wake(self) -> None:
        pass

    def attempt(self, step: Callable[[], None]) -> None:
        step()

    def now(self) -> float:
        return 0.0

    def move(self) -> None:
        """Passes on all that waits, both ways."""
        for event in self._agent.receive(b"".join(self._client.take(*PLENTY)), 0.0):
            if event.type == OPEN:
                self.theirs = event.channel
        for event in self._client.receive(b"".join(self._agent.take(*PLENTY)), 0.0):
            self.io.happened(event)
        self.io.make_room()

    async def during(self, work: Awaitable[Any], *steps: Callable[[], object]) -> Any:
        """Does the steps, one by one, while `work` waits. Returns its result."""
        task = asyncio.ensure_future(work)
        for step in steps:
            await asyncio.sleep(0)
            assert not task.done()
            step()
            self.move()
        return await task


def accepted(kind: str = "tcp", **parameters: object) -> Wire:
    wire = Wire(kind, **(parameters or {"host": "h", "port": 1}))
    wire.theirs.accept(name="x")
    wire.move()
    wire.move()  # the windows
    return wire


def test_opened() -> None:
    async def main() -> None:
        wire = Wire("tcp", host="h", port=1)
        await wire.during(wire.io.wait_opened(), lambda: wire.theirs.accept(name="x"))
        await wire.io.wait_opened()
        assert wire.io.opened["name"] == "x"

    asyncio.run(main())


def test_opened_and_over_at_once() -> None:
    async def main() -> None:
        wire = Wire("session", command="exit 3")

        def run() -> None:
            wire.theirs.accept()
            wire.theirs.result(status=3)
            wire.theirs.close()

        await wire.during(wire.io.wait_opened(), run)
        assert (await wire.io.result())["status"] == 3

    asyncio.run(main())


def test_refused() -> None:
    async def main() -> None:
        wire = Wire("tcp", host="h", port=1)
        with pytest.raises(ChannelRefused, match="no such") as refused:
            await wire.during(wire.io.wait_opened(), lambda: wire.theirs.refuse("refused", "no such\x1b thing"))
        assert (refused.value.code, "\x1b" in str(refused.value)) == ("refused", False)

    asyncio.run(main())


def test_reads_until_the_end() -> None:
    async def main() -> None:
        wire = accepted()
        assert wire.io.read_nowait() is None
        assert await wire.during(wire.io.read(3), lambda: wire.theirs.write(0, b"abcde")) == b"abc"
        assert await wire.io.read() == b"de"
        assert await wire.during(wire.io.read(), lambda: wire.theirs.end(0)) == b""
        assert await wire.io.read() == b""

    asyncio.run(main())


def test_what_has_arrived_is_read_after_the_channel_was_closed() -> None:
    async def main() -> None:
        wire = accepted()
        wire.theirs.write(0, b"abc")
        wire.theirs.close(Reason("reset", "it was reset"))
        wire.move()
        assert await wire.io.read() == b"abc"
        with pytest.raises(ChannelClosed, match="it was reset"):
            await wire.io.read()
        with pytest.raises(ChannelClosed, match="it was reset"):
            await wire.io.write(b"x")
        assert (await wire.io.closed()).code == "reset"

    asyncio.run(main())


def test_writes_as_much_as_the_agent_takes() -> None:
    async def main() -> None:
        wire = accepted()
        found = b""

        def take() -> None:
            nonlocal found
            found += wire.theirs.readers[0].read(len(BYTES), 0.0)

        writing = asyncio.ensure_future(wire.io.write(BYTES))
        while len(found) < len(BYTES):
            await asyncio.sleep(0)
            wire.move()
            take()
        await writing
        wire.io.eof()
        wire.move()
        assert (found == BYTES, wire.theirs.readers[0].complete) == (True, True)

    asyncio.run(main())


def test_a_write_that_waits_is_woken_if_the_agent_takes_no_more() -> None:
    async def main() -> None:
        wire = accepted()
        rooms: list[int] = []
        wire.io.on_room = rooms.append
        with pytest.raises(ChannelStopped):
            await wire.during(wire.io.write(BYTES), wire.move, wire.theirs.readers[0].stop)
        assert 0 in rooms
        wire.theirs.write(0, b"the other direction goes on")
        wire.move()
        assert wire.io.read_nowait()

    asyncio.run(main())


def test_to_stop_drops_what_has_arrived() -> None:
    wire = accepted()
    subs: list[int] = []
    wire.io.on_data = subs.append
    wire.theirs.write(0, b"abc")
    wire.move()
    wire.io.stop()
    wire.move()
    assert (subs[0], wire.io.read_nowait(), wire.theirs.room(0)) == (0, b"", 0)


@pytest.mark.parametrize("fields", [{"status": 3}, {"signal": "KILL"}])
def test_result(fields: dict[str, object]) -> None:
    async def main() -> None:
        wire = accepted("session", command="x")
        found = await wire.during(wire.io.result(), lambda: wire.theirs.result(**fields))
        assert {"status": None, "signal": None, **fields}.items() <= dict(found).items()

    asyncio.run(main())


def test_no_result() -> None:
    async def main() -> None:
        wire = accepted("session", command="x")
        with pytest.raises(ChannelClosed, match="gone"):
            await wire.during(wire.io.result(), lambda: wire.theirs.close(Reason("x", "gone")))

    asyncio.run(main())


def test_all_that_waits_ends_with_the_channel() -> None:
    async def main() -> None:
        wire = accepted("session", command="x")
        waiting = [asyncio.ensure_future(work) for work in (wire.io.read(sub=1), wire.io.read(sub=2), wire.io.result())]
        await asyncio.sleep(0)
        wire.io.close()
        found = await asyncio.gather(*waiting, wire.io.closed(), return_exceptions=True)
        assert [found[:2], *map(type, found[2:])] == [[b"", b""], ChannelClosed, ChannelClosed]

    asyncio.run(main())


def test_a_reader_that_was_cancelled_leaves_the_bytes_to_the_next_one() -> None:
    async def main() -> None:
        wire = accepted()
        first = asyncio.ensure_future(wire.io.read())
        await asyncio.sleep(0)
        first.cancel()
        assert await wire.during(wire.io.read(), lambda: wire.theirs.write(0, b"abc")) == b"abc"

    asyncio.run(main())

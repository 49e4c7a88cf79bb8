"""One channel of a stream, for coroutines: reads, writes, and waits for what the agent does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from medusa.client.aio.errors import ChannelClosed, ChannelError, ChannelRefused, ChannelStopped
from medusa.protocol.channels import frames
from medusa.protocol.channels.channel import NO_REASON, Channel, Event, State
from medusa.protocol.channels.frames import Reason
from medusa.protocol.resume.byte_queue import Buffer

READ_SIZE = 256 * 1024
"""The most bytes that one call of `read` returns, unless its caller wants fewer."""

NO_ERROR = "closed"
"""The code of the error that `closed` returns if the agent has closed the channel and has given no reason."""

_LOST = Reason(NO_ERROR, "the other end has closed the channel")


class Sender(Protocol):
    """Sends what the channels of a conversation have queued."""

    def wake(self) -> None:
        """Sends soon."""

    def attempt(self, step: Callable[[], None]) -> None:
        """Calls `step`, which queues frames, and sends soon. If too many frames wait, the conversation ends."""

    def now(self) -> float:
        """Returns the time in monotonic seconds."""


class ChannelIO:
    """One channel. Make it by `Driver.open`.

    At most one coroutine may read each sub (a direction of the channel) at a time, and at most one may write it.

    Attributes:
        channel: the channel itself. Its readers and writers may be looked at, but are used by this object alone.
        opened: the fields of the agent's OPENED; empty before that.
        on_data: is called each time that bytes of a sub, or its end, have arrived; it gets the sub. It may take bytes
            by `read_nowait`. Bytes that are taken then need not be copied.
        on_room: is called as soon as more can be written to a sub, or nothing any more, after `write_nowait` has taken
            less than it was given. It gets the sub.
    """

    on_data: Callable[[int], None] = staticmethod(lambda sub: None)
    on_room: Callable[[int], None] = staticmethod(lambda sub: None)

    def __init__(self, channel: Channel, sender: Sender) -> None:
        self.channel, self._sender = channel, sender
        self.opened: Mapping[str, Any] = {}
        self._accepted = False
        self._result: Mapping[str, Any] | None = None
        self._end: ChannelError | None = None
        self._waiting: dict[object, asyncio.Future[None]] = {}
        self._short: set[int] = set()  # the subs that had no room for all that was to be written

    # ------------------------------------------------------------------ reading

    async def read(self, size: int = READ_SIZE, sub: int = 0) -> bytes:
        """Returns 1 to `size` bytes of `sub`; b"" at its end. Waits until there are some.

        Raises:
            ChannelClosed: the channel was closed before the end of `sub`.
        """
        while (data := self.read_nowait(size, sub)) is None:
            await self._wait(("read", sub))
        return data

    def read_nowait(self, size: int = READ_SIZE, sub: int = 0) -> bytes | None:
        """Returns what `read` returns, or None if nothing has arrived. Raises ChannelClosed."""
        reader = self.channel.readers[sub]
        if len(reader):
            data = reader.read(size, self._sender.now())
            self._sender.wake()  # the agent may send more
            return data
        if reader.complete or reader.stopped:
            return b""
        if reader.over or self._end is not None:
            raise self._end or ChannelClosed(_LOST)
        return None

    def stop(self, sub: int = 0) -> None:
        """Tells the agent that no more bytes of `sub` are wanted, and drops those that have arrived."""
        self._sender.attempt(self.channel.readers[sub].stop)
        self._wake(("read", sub))

    # ------------------------------------------------------------------ writing

    async def write(self, data: Buffer, sub: int = 0) -> None:
        """Queues `data`, which must not change afterwards. Waits while the agent or the link takes no more.

        Raises:
            ChannelStopped: the agent takes no more of `sub`.
            ChannelClosed: the channel was closed.
        """
        view = memoryview(data)
        while len(view):
            view = view[self.write_nowait(view, sub) :]
            if len(view):
                await self._wait(("write", sub))

    def write_nowait(self, data: Buffer, sub: int = 0) -> int:
        """Queues the first bytes of `data`, as many as there is room for. Returns their number. Raises as `write`."""
        if self.channel.writers[sub].stopped:
            raise ChannelStopped(Reason("stopped", "the other end takes no more"))
        if self.channel.state is State.CLOSED or self._end is not None:
            raise self._end or ChannelClosed(_LOST)
        taken = min(len(data), self.channel.room(sub))
        if taken:
            self.channel.write(sub, data if taken == len(data) else memoryview(data)[:taken])
            self._sender.wake()
        if taken < len(data):
            self._short.add(sub)
        return taken

    def eof(self, sub: int = 0) -> None:
        """Ends `sub` after all that was written to it. The other direction goes on."""
        self._sender.attempt(lambda: self.channel.end(sub))

    # ------------------------------------------------------------------ the whole channel

    def request(self, name: str, /, **fields: object) -> None:
        """Sends a request, such as `signal`. It may overtake bytes that were written."""
        self._sender.attempt(lambda: self.channel.request(name, **fields))

    async def result(self) -> Mapping[str, Any]:
        """Waits for the end of a command. Returns its `status` or its `signal`; the other one is None.

        Raises:
            ChannelClosed: the channel was closed before the agent said how the command ended.
        """
        while self._result is None:
            if self._end is not None:
                raise self._end
            await self._wait("result")
        return self._result

    async def closed(self) -> ChannelError:
        """Waits until the agent has closed the channel, or the conversation is over. Returns why."""
        while self._end is None:
            await self._wait("closed")
        return self._end

    def accept(self, **fields: object) -> None:
        """Accepts a channel that the agent has offered."""
        self._sender.attempt(lambda: self.channel.accept(**fields))

    def refuse(self, code: str, words: str) -> None:
        """Refuses a channel that the agent has offered."""
        self.close(Reason(code, words))

    def close(self, reason: Reason = NO_REASON, *, at_once: bool = False) -> None:
        """Closes the channel after all that was written is sent. `at_once`: drops what waits to be sent.

        Does nothing if it is closed. What arrives from now on is dropped.
        """
        self._sender.attempt(lambda: self.channel.close(reason, at_once=at_once))
        self.ended(ChannelClosed(Reason(NO_ERROR, "the channel was closed here")))

    # ------------------------------------------------------------------ the driver

    async def wait_opened(self) -> None:
        """Waits for the agent's OPENED. Raises ChannelRefused, or ChannelClosed if the conversation is over.

        Does not raise if the channel was opened and is over already: what it has brought can still be read.
        """
        while not self._accepted and self._end is None:
            await self._wait("opened")
        if not self._accepted and self._end is not None:
            raise self._end

    def happened(self, event: Event) -> None:
        """Takes an event of this channel."""
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)

    def make_room(self) -> None:
        """Wakes the coroutine that waits to write, if it can go on. Call it after something was sent or has arrived."""
        for sub in list(self._short):
            if self.channel.writers[sub].stopped or self.channel.room(sub):
                self._writable(sub)

    def ended(self, why: ChannelError) -> None:
        """The channel is over. Wakes all that wait; what has arrived can still be read."""
        if self._end is None:
            self._end = why
        for sub in self.channel.readers:
            self.on_data(sub)
        for sub in list(self._short):
            self._writable(sub)
        for key in list(self._waiting):
            self._wake(key)

    def _writable(self, sub: int) -> None:
        self._short.discard(sub)
        self.on_room(sub)
        self._wake(("write", sub))

    def _on_opened(self, event: Event) -> None:
        self.opened, self._accepted = event.value, True
        self._wake("opened")

    def _on_bytes(self, event: Event) -> None:
        self.on_data(event.sub)
        self._wake(("read", event.sub))

    def _on_result(self, event: Event) -> None:
        self._result = event.value
        self._wake("result")

    def _on_refused(self, event: Event) -> None:
        self.ended(ChannelRefused(event.value))

    def _on_close(self, event: Event) -> None:
        self.ended(ChannelClosed(event.value if any(event.value) else _LOST))

    async def _wait(self, key: object) -> None:
        self._waiting[key] = future = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            if self._waiting.get(key) is future:
                del self._waiting[key]

    def _wake(self, key: object) -> None:
        future = self._waiting.pop(key, None)
        if future is not None and not future.done():
            future.set_result(None)


_HANDLERS: dict[int, Callable[[ChannelIO, Event], None]] = {
    frames.OPENED: ChannelIO._on_opened,
    frames.REFUSED: ChannelIO._on_refused,
    frames.DATA: ChannelIO._on_bytes,
    frames.EOF: ChannelIO._on_bytes,
    frames.RESULT: ChannelIO._on_result,
    frames.CLOSE: ChannelIO._on_close,
}

"""The transport of an SSH connection on two descriptors, such as standard input and output under ssh's ProxyCommand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from medusa.client.pipes.descriptors import enlarge
from medusa.client.pipes.sink import Writable
from medusa.client.terminal.stdin import Stdin
from medusa.protocol.resume.byte_queue import Buffer

READ_SIZE = 256 * 1024
"""Bytes that are read at once: as many as one message to the agent holds."""

MUCH = 64 * 1024
"""Bytes. After as many were read at once, or wait to be written, the pipe is enlarged."""

HIGH_WATER = 256 * 1024
"""Bytes. While as many wait to be written, nothing more is read, and the channels send no more."""


class PipeTransport(asyncio.Transport):
    """Reads one descriptor and writes another one, for a protocol. Bytes are written soon, many packets at once.

    Both descriptors may be shared with other programs, so O_NONBLOCK is not set on them.

    Attributes:
        drained: is called each time that less than HIGH_WATER bytes wait again.
    """

    drained: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, stdin: int, stdout: int) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._source, self._target = Stdin(stdin), Writable(stdout)
        self._out: deque[Buffer] = deque()
        self._size = 0
        self._enlarged: set[int] = set()
        self._protocol: asyncio.Protocol | None = None
        self._reading = self._writing = self._soon = self._closing = False
        self._over: asyncio.Future[None] = self._loop.create_future()

    def start(self, protocol: asyncio.Protocol) -> None:
        """Begins to pass bytes to and from `protocol`."""
        self._protocol = protocol
        protocol.connection_made(self)
        self._watch()

    @property
    def full(self) -> bool:
        """True if so many bytes wait to be written that no more should be added."""
        return self._size >= HIGH_WATER

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or not data:
            return
        self._out.append(data if isinstance(data, bytes) else bytes(data))
        self._size += len(data)
        if not self._soon and not self._writing:
            self._soon = True
            self._loop.call_soon(self._flush)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        """Ends the transport after all that waits was written. Nothing more is read."""
        self._closing = True
        self._flush()

    def abort(self) -> None:
        """Ends the transport now. Writes what the descriptor takes at once: it may be the reason of the end."""
        self._closing = True
        self._flush()
        self._end(None)

    async def over(self) -> None:
        """Waits until the transport has ended."""
        await asyncio.shield(self._over)

    def _readable(self) -> None:
        try:
            data = self._source.read(READ_SIZE)
        except OSError as error:
            self._end(error)
            return
        if data is None or self._protocol is None:
            return
        self._enlarge(self._source.fileno(), len(data))
        if data:
            self._receive(self._protocol, data)
        else:
            self._closing = True
            self._protocol.eof_received()
            self._flush()
        self._watch()

    def _receive(self, protocol: asyncio.Protocol, data: bytes) -> None:
        try:
            protocol.data_received(data)
        except ValueError as error:  # asyncssh raises it for some packets that are too short
            self._end(error)

    def _flush(self) -> None:
        self._soon = False
        was_full = self.full
        try:
            while self._out and (written := self._target.write(list(self._out))):
                self._took(written)
            self._enlarge(self._target.fileno(), self._size)
        except OSError as error:
            self._out.clear()
            self._end(error)
            return
        if self._closing and not self._out:
            self._end(None)
        self._watch()
        if was_full and not self.full:
            self.drained()

    def _enlarge(self, fd: int, size: int) -> None:
        if size >= MUCH and fd not in self._enlarged:
            self._enlarged.add(fd)
            enlarge(fd)

    def _took(self, size: int) -> None:
        self._size -= size
        while self._out and size >= len(self._out[0]):
            size -= len(self._out.popleft())
        if size:
            self._out[0] = memoryview(self._out[0])[size:]

    def _watch(self) -> None:
        over = self._over.done()
        reading, writing = not (over or self._closing or self.full), not over and bool(self._out)
        if reading != self._reading:
            self._reading = reading
            if reading:
                self._loop.add_reader(self._source.fileno(), self._readable)
            else:
                self._loop.remove_reader(self._source.fileno())
        if writing != self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(self._target.fileno(), self._flush)
            else:
                self._loop.remove_writer(self._target.fileno())

    def _end(self, error: Exception | None) -> None:
        if self._over.done():
            return
        self._closing = True
        self._over.set_result(None)
        self._watch()
        self._source.close()
        self._target.close()
        if self._protocol is not None:
            self._loop.call_soon(self._protocol.connection_lost, error)

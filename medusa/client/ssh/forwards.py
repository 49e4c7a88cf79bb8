"""Forwarded connections: of the client's to a target in the job, and back from listeners in the job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncssh

from medusa.client.aio.channel_io import ChannelIO
from medusa.client.aio.driver import Driver
from medusa.client.aio.errors import ChannelError
from medusa.client.ssh.refusals import open_error
from medusa.client.ssh.relay import Relay
from medusa.client.ssh.transport.data_packets import DataPackets

WINDOW = 128 * 1024
"""Bytes that the client may send in a forwarded connection before they are taken. There may be hundreds of them."""

LOOPBACK = ("", "localhost", "*")
"""The hosts for which a listener in the job binds loopback, as sshd does by default."""


class Connection(Relay, asyncssh.SSHTCPSession[bytes]):
    """One forwarded connection, of TCP or of a unix socket. It is over after both directions have ended."""

    def __init__(self, packets: DataPackets, io: ChannelIO) -> None:
        super().__init__(packets, {0: None})
        self._passed = False
        self.attach(io)

    def output_ended(self) -> None:
        self._passed = True
        self._chan.write_eof()
        self._close_if_over()

    def _fed(self) -> None:
        super()._fed()
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._passed and self._eof and not self._pending and self._io is not None:
            self._chan.close()
            self._io.close()

    def failed(self, error: ChannelError) -> None:
        self._chan.close()
        if self._io is not None:
            self._io.close()

    def left(self) -> None:
        if self._io is not None:
            self._io.close()


class Listener(asyncssh.SSHListener):
    """A listener in the job."""

    def __init__(self, io: ChannelIO) -> None:
        super().__init__()
        self.io = io
        self.closing = False

    def get_port(self) -> int:
        return int(self.io.opened.get("port", 0))

    def close(self) -> None:
        self.closing = True
        self.io.close()

    async def wait_closed(self) -> None:
        pass


class Listeners(dict[Any, Any]):
    """The listeners of a connection, for asyncssh. A client may cancel one that could not be made.

    asyncssh ends the whole connection then. OpenSSH's client asks for that, if its user does.
    """

    def pop(self, key: Any, *default: Any) -> Any:
        return super().pop(key, *(default or (asyncssh.SSHListener(),)))


class Forwards:
    """All forwarded connections and listeners of one SSH connection.

    Args:
        tell: shows the user a line.

    Attributes:
        conn: the SSH connection, from its beginning on.
    """

    conn: asyncssh.SSHServerConnection

    def __init__(self, driver: Driver, packets: DataPackets, tell: Callable[[str], None]) -> None:
        self._driver, self._packets, self._tell = driver, packets, tell
        self._listeners: dict[int, Callable[[Connection, str], Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        driver.offered = self._offered

    async def connect(self, kind: str, **target: object) -> Connection:
        """Connects to a target in the job. Raises ChannelOpenError."""
        try:
            io = await self._driver.open(kind, **target)
        except ChannelError as error:
            raise open_error(error) from None
        return Connection(self._packets, io)

    async def listen(self, name: str, back: Callable[[Connection, str], Any], **place: object) -> Listener | bool:
        """Listens in the job. Returns False if that fails, after the user was told why.

        Args:
            name: the place, in words for the user.
            back: opens a channel to the client for a connection, from a peer; a coroutine function.
        """
        try:
            io = await self._driver.open("listen", **place)
        except ChannelError as error:
            self._tell(f"cannot listen on {name} in the job: {error}")
            return False
        listener = Listener(io)
        self._listeners[io.channel.number] = back
        self._start(self._watch(listener, name))
        return listener

    async def _watch(self, listener: Listener, name: str) -> None:
        """Waits for the end of a listener, and tells the user if nobody wanted it."""
        why = await listener.io.closed()
        self._listeners.pop(listener.io.channel.number, None)
        if not (listener.closing or self._driver.over.done()):
            self._tell(f"nothing listens any more on {name} in the job: {why}")

    def _offered(self, io: ChannelIO, fields: Mapping[str, Any]) -> None:
        """A connection has come to a listener in the job."""
        back = self._listeners.get(fields.get("listener", 0)) if io.channel.kind == "accepted" else None
        if back is None:
            io.refuse("unknown-kind", "this client has no such listener")
        else:
            self._start(self._back(io, back, fields["peer"]))

    async def _back(self, io: ChannelIO, back: Callable[[Connection, str], Any], peer: str) -> None:
        connection = Connection(self._packets, io)
        try:
            await back(connection, peer)
        except asyncssh.ChannelOpenError as error:
            io.refuse("refused", f"the ssh client has refused the connection: {error.reason}")
        except (asyncssh.Error, OSError) as error:
            io.refuse("refused", f"the ssh client has gone ({error})")
        else:
            io.accept()

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
